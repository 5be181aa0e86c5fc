// A Verilated device behind a C interface of whole-array calls: bytes in, bytes out.

#include <cstdint>

#include "Vbench.h"

constexpr uint64_t SILENCE = 24;  // cycles in which a device that has something to say begins
constexpr uint64_t LONG = 128;    // bytes of a frame of answers that was full

// Whether a frame, as it is on the line, is one of answers that is not full.
bool last(const uint8_t* frame, uint64_t size) {
    const int kind = size > 1 ? frame[1] >> 4 : 0;
    return size < LONG && (kind == 11 || kind == 12);
}

struct Device {
    VerilatedContext context;
    Vbench top{&context};
    uint64_t cycle = 0;

    void settle() { top.clk = 0, top.eval(); }
    void edge() { top.clk = 1, top.eval(), ++cycle; }
};

extern "C" {

Device* device_open() { return new Device; }

void device_close(Device* device) {
    device->top.final();
    delete device;
}

uint64_t device_cycle(const Device* device) { return device->cycle; }

void device_reset(Device* device, uint64_t cycles) {
    auto& top = device->top;
    top.s_byte_tvalid = top.m_byte_tready = 0;
    top.rst = 1;
    while (cycles--) device->settle(), device->edge();
    top.rst = 0;
}

// Offers the bytes of `in` from `*taken` on, and then takes what comes: until answers do no longer
// fill a frame, or a frame is followed by silence; or for `cycles` cycles, or until `out` is full.
// Returns how many came. It does not listen while it sends, nor in the first `deaf` cycles, so that
// answers gather in long frames meanwhile.
uint64_t device_run(Device* device, const uint8_t* in, uint64_t size, uint64_t* taken, uint8_t* out,
                    uint64_t room, uint64_t deaf, uint64_t cycles) {
    auto& top = device->top;
    uint64_t sent = *taken, count = 0, begin = 0, silent = 0;
    bool over = false;
    while (cycles-- && count < room && !over) {
        const bool sends = sent < size;
        top.s_byte_tvalid = sends;
        if (sends) top.s_byte_tdata = in[sent];
        top.m_byte_tready = !sends && !deaf;
        device->settle();
        if (sends && top.s_byte_tready) ++sent;
        if (deaf) --deaf;
        if (top.m_byte_tvalid && top.m_byte_tready) {
            out[count++] = top.m_byte_tdata, silent = 0;
            if (!top.m_byte_tdata) over = last(out + begin, count - begin), begin = count;
        } else if (count && count == begin) {
            over = ++silent > SILENCE;
        }
        device->edge();
    }
    top.s_byte_tvalid = top.m_byte_tready = 0;
    *taken = sent;
    return count;
}

}  // extern "C"
