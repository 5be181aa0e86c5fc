// A Verilated device behind a C interface of whole-array calls: bytes in, bytes out.

#include <cstdint>

#include "Vdevice.h"

struct Device {
    VerilatedContext context;
    Vdevice top{&context};
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

// Offers the bytes of `in` from `*taken` on, a byte a cycle, and takes what comes: until all of them
// are taken and a zero has come, which ends a frame, or for `cycles` cycles, or until `out` is full.
// Returns how many came.
uint64_t device_run(Device* device, const uint8_t* in, uint64_t size, uint64_t* taken, uint8_t* out,
                    uint64_t room, uint64_t cycles) {
    auto& top = device->top;
    uint64_t sent = *taken, count = 0;
    bool ended = false;
    top.m_byte_tready = 1;
    while (cycles-- && count < room && !(ended && sent == size)) {
        top.s_byte_tvalid = sent < size;
        if (sent < size) top.s_byte_tdata = in[sent];
        device->settle();
        if (top.m_byte_tvalid) {
            out[count++] = top.m_byte_tdata;
            ended = !top.m_byte_tdata;
        }
        if (top.s_byte_tvalid && top.s_byte_tready) ++sent;
        device->edge();
    }
    top.s_byte_tvalid = top.m_byte_tready = 0;
    *taken = sent;
    return count;
}

}  // extern "C"
