// A Verilated chip behind a C interface of whole-array calls.
//
// Serves every top that vle.hw.verilog generates: a word is as wide as its port. Compiled with
// -DRECORD_ALL="RECORD(0) RECORD(1)" it records the trace ports of engines 0 and 1, with -DLEARNS it
// has the streams of targets and probes. Structures are mirrored in beats.py and verilated.py.

#include <cstdint>
#include <type_traits>
#include <vector>

#include "Vtop.h"

namespace {

struct TraceRow {
    int32_t layer, neuron, u, r;
};

struct ErrorRow {
    int32_t layer, neuron, e, v, exponent;
};

struct ProbeRow {
    int32_t word;
    uint32_t user;
};

// xorshift64*, seeded by the caller: the only source of chance.
struct Random {
    uint64_t state;
    uint32_t next() {
        state ^= state >> 12, state ^= state << 25, state ^= state >> 27;
        return static_cast<uint32_t>((state * 0x2545F4914F6CDD1DULL) >> 32);
    }
};

// After a beat, with probability chance/256, a pause of 1 to 2^k cycles, k in 0..5.
struct Pauses {
    uint32_t chance = 0, left = 0;
    bool over() { return left == 0 || --left == 0; }
    void beat(Random& random) {
        const uint32_t draw = random.next();
        const uint32_t longest = 1u << ((draw >> 8) % 6);
        if ((draw & 255) < chance) left = 2 + (draw >> 16) % longest;
    }
};

template <typename Row>
void take(std::vector<Row>& from, Row* rows) {
    for (const Row& row : from) *rows++ = row;
    from.clear();
}

template <typename Word>
int32_t sign_extended(Word word) {
    return static_cast<std::make_signed_t<Word>>(word);
}

}  // namespace

// Beats of a stream; flags: 1 last, above it TUSER.
struct Beats {
    int32_t* words;
    uint8_t* flags;
    uint64_t* cycles;
    uint64_t capacity, count;
    bool left() const { return count < capacity; }
};

// Offers beats one after the other to the ports at whose values it points.
template <typename Data, typename User>
struct Source {
    Beats* beats;
    Pauses gap;
    Data& data;
    User& user;
    CData &last, &valid, &ready;
    bool offered = false;
    Source(Beats* beats, uint32_t gaps, Data& data, User& user, CData& last, CData& valid,
           CData& ready)
        : beats(beats), gap{gaps}, data(data), user(user), last(last), valid(valid), ready(ready) {}
    void offer() {
        if (!offered && beats->left()) offered = gap.over();
        valid = offered;
        if (!offered) return;
        data = static_cast<Data>(beats->words[beats->count]);
        last = beats->flags[beats->count] & 1;
        user = beats->flags[beats->count] >> 1;
    }
    bool moves() const { return offered && ready; }
    void move(uint64_t cycle, Random& random) {
        beats->cycles[beats->count++] = cycle;
        offered = false;
        gap.beat(random);
    }
};

struct Chip {
    VerilatedContext context;
    Vtop top{&context};
    uint64_t cycle = 0;
    Random random{1};
    std::vector<TraceRow> trace;
    std::vector<ErrorRow> errors;
    std::vector<ProbeRow> probes;
    Pauses probe_stall;
    bool probe_ready = true;

    // Combinational values of this cycle; inputs are set before.
    void settle() {
        top.clk = 0;
#ifdef LEARNS
        top.m_axis_probe_tready = probe_ready;
#endif
        top.eval();
    }
    void edge() {
        record();
        probe();
        top.clk = 1;
        top.eval();
        ++cycle;
    }
    void record() {
#ifdef LEARNS
#define RECORD_ERRORS(k)                                                                 \
    if (top.trace_##k##_error_valid)                                                     \
        errors.push_back({top.trace_##k##_error_layer, top.trace_##k##_error_neuron,     \
                          sign_extended(+top.trace_##k##_e),                             \
                          sign_extended(+top.trace_##k##_v),                             \
                          sign_extended(top.trace_##k##_exponent)});
#else
#define RECORD_ERRORS(k)
#endif
#define RECORD(k)                                                                       \
    if (top.trace_##k##_valid)                                                          \
        trace.push_back({top.trace_##k##_layer, top.trace_##k##_neuron,                 \
                         sign_extended(+top.trace_##k##_u), sign_extended(+top.trace_##k##_r)}); \
    RECORD_ERRORS(k)
#ifdef RECORD_ALL
        RECORD_ALL
#endif
    }
    // Probes are always listened to, in whatever call.
    void probe() {
#ifdef LEARNS
        if (top.m_axis_probe_tvalid && top.m_axis_probe_tready) {
            probes.push_back({sign_extended(top.m_axis_probe_tdata), top.m_axis_probe_tuser});
            probe_stall.beat(random);
        }
        probe_ready = probe_stall.over();
#endif
    }
    void quiet() {
#ifdef LEARNS
        top.s_axis_target_tvalid = 0;
#endif
        top.s_axis_tvalid = top.m_axis_tready = 0;
        top.s_axil_awvalid = top.s_axil_wvalid = top.s_axil_bready = 0;
        top.s_axil_arvalid = top.s_axil_rready = 0;
        top.s_axil_awprot = top.s_axil_arprot = 0;
        top.s_axil_wstrb = 15;
    }
};

extern "C" {

Chip* chip_open(uint64_t seed) {
    Chip* chip = new Chip;
    chip->random.state = seed * 0x9E3779B97F4A7C15ULL | 1;
    chip->quiet();
    chip->top.rst = 0;
    return chip;
}

void chip_close(Chip* chip) {
    chip->top.final();
    delete chip;
}

void chip_reset(Chip* chip, uint64_t cycles) {
    chip->quiet();
    chip->top.rst = 1;
    while (cycles--) chip->settle(), chip->edge();
    chip->top.rst = 0;
}

uint64_t chip_cycle(const Chip* chip) { return chip->cycle; }

// Offers all beats of `in` and of `target`, which is empty where the chip does not learn, and takes
// beats into `out` until it has `expected` of them and the others are used up, then for `linger`
// cycles more. Returns 0, or 1 where `patience` cycles passed without a beat, or 2 where `out` was
// full, or 3 where a beat changed while it was not yet taken.
int chip_stream(Chip* chip, Beats* in, Beats* target, Beats* out, uint64_t expected,
                uint64_t linger, uint32_t gaps, uint32_t stalls, uint64_t patience) {
    auto& top = chip->top;
    using Data = std::remove_reference_t<decltype(top.m_axis_tdata)>;  // of 16 or 32 bits
    Source frames(in, gaps, top.s_axis_tdata, top.s_axis_tuser, top.s_axis_tlast,
                  top.s_axis_tvalid, top.s_axis_tready);
#ifdef LEARNS
    Source targets(target, gaps, top.s_axis_target_tdata, top.s_axis_target_tuser,
                   top.s_axis_target_tlast, top.s_axis_target_tvalid, top.s_axis_target_tready);
#endif
    Pauses stall{stalls};
    bool held = false;
    Data held_word = 0;
    uint8_t held_flags = 0;
    uint64_t quiet = 0;
    chip->quiet();
    const auto open = [&] {
        return in->left() || target->left() || out->count < expected;
    };
    while (open() || linger) {
        if (!open()) --linger;
        frames.offer();
#ifdef LEARNS
        targets.offer();
#endif
        top.m_axis_tready = stall.over();
        chip->settle();
        bool moved = frames.moves();
        const bool taken = top.m_axis_tvalid && top.m_axis_tready;
        const Data word = top.m_axis_tdata;
        const uint8_t flags = top.m_axis_tlast | top.m_axis_tuser << 1;
        if (held && !(top.m_axis_tvalid && word == held_word && flags == held_flags))
            return chip->quiet(), 3;
        held = top.m_axis_tvalid && !taken, held_word = word, held_flags = flags;
        if (taken && out->count == out->capacity) return chip->quiet(), 2;
        if (taken) {
            out->words[out->count] = sign_extended(word);
            out->flags[out->count] = flags;
            out->cycles[out->count++] = chip->cycle;
            stall.beat(chip->random);
        }
        if (moved) frames.move(chip->cycle, chip->random);
#ifdef LEARNS
        if (targets.moves()) targets.move(chip->cycle, chip->random), moved = true;
#endif
        quiet = moved || taken ? 0 : quiet + 1;
        chip->edge();
        if (quiet > patience && open()) {
            chip->quiet();
            return 1;
        }
    }
    chip->quiet();
    return 0;
}

// Reads or writes registers one after the other at byte addresses. Returns how many went through:
// the next one, where there is one, was answered with `*response`, or with nothing (-1).
uint64_t chip_registers(Chip* chip, int write, const uint32_t* addresses, uint32_t* data,
                        uint64_t count, int64_t patience, int32_t* response) {
    auto& top = chip->top;
    *response = 0;
    for (uint64_t k = 0; k < count; ++k) {
        chip->quiet();
        bool address = true, word = write, answered = false;
        top.s_axil_awaddr = top.s_axil_araddr = addresses[k];
        top.s_axil_wdata = data[k];
        for (int64_t wait = 0; !answered; ++wait) {
            if (wait > patience) return *response = -1, chip->quiet(), k;
            (write ? top.s_axil_awvalid : top.s_axil_arvalid) = address;
            top.s_axil_wvalid = word;
            (write ? top.s_axil_bready : top.s_axil_rready) = 1;
            chip->settle();
            if (write ? top.s_axil_awready : top.s_axil_arready) address = false;
            if (top.s_axil_wready) word = false;
            if (write && top.s_axil_bvalid) answered = true, *response = top.s_axil_bresp;
            if (!write && top.s_axil_rvalid)
                answered = true, *response = top.s_axil_rresp, data[k] = top.s_axil_rdata;
            chip->edge();
        }
        if (*response) return chip->quiet(), k;
    }
    chip->quiet();
    return count;
}

uint64_t chip_trace_count(const Chip* chip) { return chip->trace.size(); }
uint64_t chip_error_count(const Chip* chip) { return chip->errors.size(); }
uint64_t chip_probe_count(const Chip* chip) { return chip->probes.size(); }

// Copy what was recorded so far, and forget it.
void chip_trace_take(Chip* chip, TraceRow* rows) { take(chip->trace, rows); }
void chip_error_take(Chip* chip, ErrorRow* rows) { take(chip->errors, rows); }
void chip_probe_take(Chip* chip, ProbeRow* rows) { take(chip->probes, rows); }

// Pauses after each word of a probe from now on, with probability chance/256.
void chip_probe_stalls(Chip* chip, uint32_t chance) { chip->probe_stall.chance = chance; }

}  // extern "C"
