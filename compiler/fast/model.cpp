// The integer models of vle.compiler.network and vle.compiler.learning, equal word by word.
//
// NumPy's integers wrap and its shifts of negative words are arithmetic: compile with -fwrapv.
// `words.h` is what words.py makes of the constants of the Python modules and of
// the fields of `Layer` and `Run`. Function names are those of the Python modules that the headings name.
#include <algorithm>
#include <cstdint>
#include <new>
#include <vector>

using Int = std::int64_t;

#include "words.h"

namespace {

constexpr Int FULL = 0xFFFF;   // of a draw
constexpr Int SPLIT = 8;       // bits of a signal's lower part
constexpr Int BLOCK = 16;      // columns, to which rows are padded
enum Flag { START = 1, TARGET = 2, IS_ERROR = 4, FREEZE = 8 };
enum Derivative { PIECES, OF_RATE, OF_TABLE };

// -- fixed.py ---------------------------------------------------------------------------------

struct Rounding {  // (raw + 2**(shift - 1)) >> shift
  Int shift, half;
  explicit Rounding(Int places) : shift(places), half(places ? Int{1} << (places - 1) : 0) {}
  Int operator()(Int raw) const { return (raw + half) >> shift; }
};

struct Range {  // of a signed word
  Int low, high;
  explicit Range(Int width) : low(-(Int{1} << (width - 1))), high((Int{1} << (width - 1)) - 1) {}
  Int operator()(Int raw) const { return std::min(std::max(raw, low), high); }
};

// -- noise.py ----------------------------------------------------------------------------------

std::uint32_t rotated(std::uint32_t state, int places) {
  return state << places | state >> (32 - places);
}

std::uint32_t advance(std::uint32_t state) {
  state ^= state << 13;
  state ^= state >> 17;
  return state ^ state << 5;
}

std::int32_t draw(std::uint32_t state, std::uint32_t index, std::uint32_t factor) {
  std::uint32_t z = state + index * factor;
  return static_cast<std::int32_t>((z ^ z >> 9 ^ z >> 16) & FULL);
}

struct Stochastic {  // stochastic_shift
  Int shift, up, down;
  explicit Stochastic(Int places)
      : shift(std::min<Int>(places, 63)),
        up(std::clamp<Int>(places - DRAW_WIDTH - 1, 0, 63)),
        down(std::clamp<Int>(DRAW_WIDTH + 1 - places, 0, 63)) {}
  Int operator()(Int raw, Int draw) const {
    return (raw + ((2 * draw + 1) << up >> down)) >> shift;
  }
};

// -- what a layer computes with, beside its words ----------------------------------------------

struct Narrow {  // words of 32 bits; sums are exact in float64
  using Word = std::int32_t;
  using Sum = double;
};

struct Wide {
  using Word = Int;
  using Sum = Int;
};

constexpr std::align_val_t LINE{64};  // of the cache

template <class T> struct Aligned {
  using value_type = T;
  Aligned() = default;
  template <class Other> Aligned(const Aligned<Other> &) {}
  T *allocate(std::size_t n) { return static_cast<T *>(::operator new(n * sizeof(T), LINE)); }
  void deallocate(T *words, std::size_t) { ::operator delete(words, LINE); }
  template <class Other> bool operator==(const Aligned<Other> &) const { return true; }
  template <class Other> bool operator!=(const Aligned<Other> &) const { return false; }
};

template <class T> using Words = std::vector<T, Aligned<T>>;

template <class Kind> struct Work {
  using Word = typename Kind::Word;
  using Sum = typename Kind::Sum;
  Int stride = 0;                    // columns, padded
  bool began = false, held = false;  // flags of this step
  Words<Word> weight, bar;           // (outputs, stride), (groups, stride)
  Words<Word> heard;                 // (stride,): inputs, then own rates
  Words<Sum> x, sums;                // the same as `Sum`; W^T e
  Words<std::int32_t> column_draws;  // (stride,)
  Words<Int> acc, d, ahead, prosp, index, base, step, row_draws, signal_draws, part, total, signal;
  Words<Int> alpha, rho, beta, kappa, inst_e, e, over;
};

template <class Kind> Work<Kind> prepare(const Layer &layer) {
  Work<Kind> work;
  const Int n = layer.outputs, columns = layer.columns;
  work.stride = (columns + BLOCK - 1) / BLOCK * BLOCK;
  work.weight.assign(n * work.stride, 0);
  for (Int i = 0; i < n; i++)
    std::copy_n(layer.weight + i * columns, columns, work.weight.data() + i * work.stride);
  work.heard.assign(work.stride, 0);
  work.x.assign(work.stride, 0);
  for (auto *words : {&work.acc, &work.d, &work.ahead, &work.prosp, &work.index, &work.base,
                      &work.step})
    words->assign(n, 0);
  if (!layer.learns) return work;
  work.bar.assign(layer.groups * work.stride, 0);
  for (Int g = 0; g < layer.groups; g++)
    std::copy_n(layer.bar + g * columns, columns, work.bar.data() + g * work.stride);
  work.sums.assign(work.stride, 0);
  work.column_draws.assign(work.stride, 0);
  for (auto *words : {&work.row_draws, &work.signal_draws, &work.part, &work.total, &work.signal,
                      &work.alpha, &work.rho, &work.beta, &work.kappa, &work.inst_e, &work.e,
                      &work.over})
    words->assign(n, 0);
  std::copy_n(layer.alpha, n, work.alpha.data());
  std::copy_n(layer.rho, n, work.rho.data());
  std::copy_n(layer.beta, n, work.beta.data());
  std::copy_n(layer.kappa, n, work.kappa.data());
  return work;
}

template <class Kind> void give_back(Layer &layer, const Work<Kind> &work) {
  for (Int i = 0; i < layer.outputs; i++)
    std::copy_n(work.weight.data() + i * work.stride, layer.columns,
                layer.weight + i * layer.columns);
  for (Int g = 0; layer.learns && g < layer.groups; g++)
    std::copy_n(work.bar.data() + g * work.stride, layer.columns, layer.bar + g * layer.columns);
}

// -- the three uses of a row of weights --------------------------------------------------------

struct Update {  // of one row
  Int signal, shift, row_draw;
  Range range;
};

// One row: returns w x, adds w e to the columns' sums, and updates w.
//
// The update is w + (signal * x + offset >> shift). With signal = upper * 2**SPLIT + lower it is
// w + (upper * x + (lower * x + offset >> SPLIT) >> shift - SPLIT), all of which fits 32 bits. The
// offset, odd << shift - 17 or odd >> 17 - shift with odd = 2 draw + 1, is made of the draw itself.
template <class Kind, bool Back, bool Learn>
typename Kind::Sum pass(Work<Kind> &work, Int row, const typename Kind::Word *heard_words,
                        typename Kind::Sum e, const Update &update, Int &clamped) {
  using Word = typename Kind::Word;
  using Sum = typename Kind::Sum;
  Word *__restrict w = work.weight.data() + row * work.stride;
  const Word *__restrict heard = heard_words;
  const Sum *__restrict x = work.x.data();
  Sum *__restrict sums = work.sums.data();
  const std::int32_t *__restrict draws = work.column_draws.data();
  const Int above = update.shift - DRAW_WIDTH;
  const Int up = std::max<Int>(above, 0), down = std::max<Int>(-above, 0);
  const std::int32_t half = above > 0 ? std::int32_t{1} << (above - 1) : 0;
  const Int rest = Learn ? update.shift - SPLIT : 0;
  const Word upper = static_cast<Word>(update.signal >> SPLIT);
  const Word lower = static_cast<Word>(update.signal & ((1 << SPLIT) - 1));
  const Word low = static_cast<Word>(update.range.low), high = static_cast<Word>(update.range.high);
  const std::int32_t row_draw = static_cast<std::int32_t>(update.row_draw);
  const Int stride = work.stride;
  Sum acc = 0;
  std::int32_t count = 0;
#pragma omp simd reduction(+ : acc, count)
  for (Int j = 0; j < stride; j++) {
    const Word word = w[j];
    acc += static_cast<Sum>(word) * x[j];
    if constexpr (Back) sums[j] += static_cast<Sum>(word) * e;
    if constexpr (Learn) {
      const Word offset = (((draws[j] + row_draw) & 0xFFFF) << up >> down) + half;
      const Word moved = upper * heard[j] + ((lower * heard[j] + offset) >> SPLIT);
      const Word wide = word + (moved >> rest);
      const Word next = std::min(std::max(wide, low), high);
      count += next != wide;
      w[j] = next;
    }
  }
  if constexpr (Learn) clamped += count;
  return acc;
}

// -- layer.py, activation.py: the neurons ------------------------------------------------------

struct Line {  // PiecewiseLinear, before its bounds
  Int negative, positive, offset;
  Rounding rounding;
  explicit Line(const Layer &layer)
      : negative(layer.negative_slope),
        positive(layer.positive_slope),
        offset(layer.offset),
        rounding(layer.act_shift) {}
  Int operator()(Int prosp) const {
    return rounding((prosp < 0 ? negative : positive) * prosp) + offset;
  }
};

struct Place {  // in a table
  Int low, high, half, shift;
  explicit Place(const Layer &layer)
      : low(-layer.high - 1), high(layer.high), half(layer.entries / 2), shift(layer.act_shift) {}
  Int inside(Int prosp) const { return std::min(std::max(prosp, low), high); }
  Int index(Int inside) const { return (inside >> shift) + half; }
  Int fraction(Int inside) const { return inside & ((Int{1} << shift) - 1); }
};

// Rates of the potentials `work.prosp`; returns how many saturated.
template <class Kind> Int rates(const Layer &layer, Work<Kind> &work, Int *__restrict r) {
  const Int *__restrict prosp = work.prosp.data();
  const Int n = layer.outputs;
  Int count = 0;
  if (!layer.is_table) {
    const Line line(layer);
    const Int low = layer.low, high = layer.high;
    const Int counts_low = layer.counts_low, counts_high = layer.counts_high;
#pragma omp simd reduction(+ : count)
    for (Int i = 0; i < n; i++) {
      const Int rate = line(prosp[i]);
      count += (counts_low & (rate < low)) | (counts_high & (rate > high));
      r[i] = std::min(std::max(rate, low), high);
    }
    return count;
  }
  const Place place(layer);
  const Rounding rounding(layer.act_shift), tail(std::max<Int>(layer.tail_shift, 0));
  const Int *__restrict value = layer.value, *__restrict delta = layer.delta;
  const Int high = Range(layer.rate_width).high, grows = layer.tail_shift >= 0;
  Int *__restrict index = work.index.data();  // looked up between two loops that vectors can do
  Int *__restrict base = work.base.data(), *__restrict step = work.step.data();
#pragma omp simd
  for (Int i = 0; i < n; i++) index[i] = place.index(place.inside(prosp[i]));
  for (Int i = 0; i < n; i++) base[i] = value[index[i]], step[i] = delta[index[i]];
#pragma omp simd reduction(+ : count)
  for (Int i = 0; i < n; i++) {
    const Int inside = place.inside(prosp[i]);
    Int rate = base[i] + rounding(step[i] * place.fraction(inside));
    rate += grows ? tail(std::max<Int>(prosp[i] - inside, 0)) : 0;
    count += grows & (rate > high);
    r[i] = grows ? std::min(rate, high) : rate;
  }
  return count;
}

// From the sums in `work.acc` and potentials `u` to `d`, `ahead`, `prosp`, new `u` and `r`.
template <class Kind>
void neurons(const Layer &layer, Work<Kind> &work, const Int *alpha, const Int *rho,
             const Int *scale, Int *u, Int *r, Int *counts) {
  const Rounding drive(layer.scale_shift), onward(layer.rho_shift), leak(layer.alpha_shift);
  const Range range(layer.u_width);
  const Int n = layer.outputs;
  const Int *__restrict bias = layer.bias;
  const Int *__restrict acc = work.acc.data();
  Int *__restrict prosp = work.prosp.data(), *__restrict d = work.d.data();
  Int *__restrict ahead = work.ahead.data(), *__restrict potential = u;
  Int current_count = 0, prosp_count = 0;
#pragma omp simd reduction(+ : current_count, prosp_count)
  for (Int i = 0; i < n; i++) {
    const Int driven = drive(acc[i] * scale[i]) + bias[i], current = range(driven);
    d[i] = current - potential[i];
    ahead[i] = onward(rho[i] * d[i]);
    const Int far = potential[i] + ahead[i];
    prosp[i] = range(far);
    potential[i] += leak(alpha[i] * d[i]);
    current_count += current != driven;
    prosp_count += prosp[i] != far;
  }
  counts[0] += current_count, counts[1] += prosp_count, counts[2] += rates(layer, work, r);
}

// -- derivative.py -----------------------------------------------------------------------------

void primes(const Layer &layer, const Int *__restrict prosp, const Int *__restrict r,
            Int *__restrict prime) {
  const Range range(PRIME_WIDTH);
  const Int n = layer.outputs, move = layer.prime_move;
  if (layer.derivative == PIECES) {
    const Line line(layer);
    const Int low = layer.low, high = layer.high;
    const Int ends_low = !layer.counts_low, ends_high = !layer.counts_high;
    const Int negative = layer.prime_negative, positive = layer.prime_positive;
#pragma omp simd
    for (Int i = 0; i < n; i++) {
      const Int rate = line(prosp[i]), slope = prosp[i] > 0 ? positive : negative;
      const Int flat = (ends_low & (rate < low)) | (ends_high & (rate > high));
      prime[i] = flat ? 0 : slope;
    }
  } else if (layer.derivative == OF_RATE) {
    const Rounding rounding(move);
    const Int one = layer.prime_one, factor = layer.prime_linear < 0 ? 0 : 1;
    const Int linear = std::max<Int>(layer.prime_linear, 0);
#pragma omp simd
    for (Int i = 0; i < n; i++)
      prime[i] = range(rounding(one + (r[i] * factor << linear) - r[i] * r[i]));
  } else {
    const Place place(layer);
    const Rounding rounding(std::max<Int>(-move, 0));
    const Int up = std::max<Int>(move, 0), tail = layer.prime_tail;
    const Int *__restrict delta = layer.delta;
#pragma omp simd
    for (Int i = 0; i < n; i++) {
      const Int inside = place.inside(prosp[i]);
      const Int slope = rounding(delta[place.index(inside)] << up);
      prime[i] = range(prosp[i] > inside ? tail : slope);
    }
  }
}

// -- top.py ------------------------------------------------------------------------------------

void softmax(const Int *r, Int n, Int f_bits, const Int *exp2, Int *p) {
  const Rounding to_z(LOG2E_SHIFT + f_bits - TOP_FRACTION);
  const Int rest_bits = TOP_FRACTION - TOP_INDEX;
  const Rounding fine(rest_bits);
  std::vector<Int> whole(n);
  Int largest = 0, total = 0;
  for (Int i = 0; i < n; i++) {
    const Int z = to_z(r[i] * LOG2E), fraction = z & ((Int{1} << TOP_FRACTION) - 1);
    const Int index = fraction >> rest_bits, rest = fraction & ((Int{1} << rest_bits) - 1);
    whole[i] = z >> TOP_FRACTION;
    p[i] = exp2[index] + fine((exp2[index + 1] - exp2[index]) * rest);
    if (!i) largest = whole[0];
    total >>= std::min<Int>(std::max<Int>(whole[i] - largest, 0), FAR);
    largest = std::max(whole[i], largest);
    total += p[i] >> std::min<Int>(largest - whole[i], FAR);
  }
  const Int reciprocal = (Int{1} << RECIPROCAL) / total;
  for (Int i = 0; i < n; i++) {
    const Int part = p[i] >> std::min<Int>(largest - whole[i], FAR);
    p[i] = part * reciprocal >> (RECIPROCAL - PROBABILITY_BITS);
  }
}

// -- errors.py ---------------------------------------------------------------------------------

struct Align {  // raw * 2**left, rounded where bits are dropped, clamped
  Int up;
  Rounding down;
  Range range;
  Align(Int left, Int width)
      : up(std::clamp<Int>(left, 0, LEFT)),
        down(std::min<Int>(std::max<Int>(-left, 0), RIGHT)),
        range(width) {}
  Int wide(Int raw) const { return down(raw << up); }
};

template <class Kind>
void add_part(const Layer &layer, Work<Kind> &work, const Int *words, Int exponent) {
  const Align align(exponent - layer.exponent + GUARD, layer.error_width + GUARD);
  const Int n = layer.outputs;
  const Int *__restrict from = words;
  Int *__restrict total = work.total.data(), *__restrict over = work.over.data();
#pragma omp simd
  for (Int i = 0; i < n; i++) {
    const Int wide = align.wide(from[i]), clamped = align.range(wide);
    total[i] += clamped;
    over[i] |= clamped != wide;
  }
}

Int bit_length(Int magnitude) { return magnitude ? 64 - __builtin_clzll(magnitude) : 0; }

void rescale(Layer &layer, Int magnitude) {
  const Int bits = bit_length(magnitude), width = layer.error_width;
  layer.before = layer.exponent;
  if (bits > width - 2) {
    layer.exponent = std::min<Int>(layer.exponent + bits - width + 2, HIGHEST);
    layer.quiet = 0;
  } else if (!(0 < bits && bits < width - 5)) {
    layer.quiet = 0;
  } else if (layer.quiet + 1 < PATIENCE) {
    layer.quiet++;
  } else {
    layer.exponent = std::max<Int>(layer.exponent - 1, LOWEST);
    layer.quiet = 0;
  }
}

// The error filter, from `work.total` and `work.over`; the exponent is then that of the next step.
template <class Kind> void filter(Layer &layer, Work<Kind> &work, bool blank) {
  const Int guard = layer.v_width - layer.error_width;
  const Range range(layer.error_width), wide_range(layer.error_width + GUARD);
  const Rounding by_prime(layer.prime_shift + GUARD), by_kappa(layer.kappa_shift + guard);
  const Rounding by_beta(layer.beta_shift);
  const Align align(layer.before - layer.exponent, layer.v_width);
  const Int n = layer.outputs, kappa_shift = layer.kappa_shift, keep = !blank;
  const Int *__restrict total = work.total.data(), *__restrict clamped = work.over.data();
  const Int *__restrict kappa = work.kappa.data(), *__restrict beta = work.beta.data();
  const Int *__restrict primes = layer.prime;
  Int *__restrict inst_e = work.inst_e.data(), *__restrict e = work.e.data();
  Int *__restrict v = layer.v;
  Int magnitude = 0, over_any = 0, count = 0;
#pragma omp simd reduction(| : magnitude, over_any) reduction(+ : count)
  for (Int i = 0; i < n; i++) {
    const Int s = wide_range(total[i]), over = clamped[i] | (s != total[i]);
    const Int wide_inst = by_prime(primes[i] * keep * s), inst = range(wide_inst);
    const Int low = align.range(align.wide(v[i] * keep));
    const Int f = (inst << guard) - low;
    const Int wide_e = by_kappa((low << kappa_shift) + kappa[i] * f);
    const Int after = low + by_beta(beta[i] * f), top = after >> guard;
    inst_e[i] = inst;
    e[i] = range(wide_e);
    v[i] = after;
    magnitude |= (wide_inst ^ wide_inst >> 63) | (wide_e ^ wide_e >> 63) | (top ^ top >> 63);
    over_any |= over;
    count += over | (inst != wide_inst) | (e[i] != wide_e);
  }
  layer.clamped[0] += count;
  rescale(layer, magnitude | over_any << (layer.error_width + 1));
}

// -- updates.py --------------------------------------------------------------------------------

struct Signal {  // learning_signal
  Int mantissa, up;
  Stochastic down;
  Range range{SIGNAL_WIDTH};
  Signal(Int mantissa, Int left)
      : mantissa(mantissa),
        up(std::clamp<Int>(left, 0, SIGNAL_LEFT)),
        down(std::min<Int>(std::max<Int>(-left, 0), RIGHT)) {}
  Int wide(Int error, Int draw) const { return down((mantissa * error) << up, draw); }
};

template <class Kind> void update_bias(Layer &layer, Work<Kind> &work, std::uint32_t noise) {
  const Range range(layer.u_width);
  const Int shift = layer.bias_point, column = draw(rotated(noise, 16), 0, COLUMN);
  const Stochastic rounding(std::max<Int>(shift, 0));
  const Int n = layer.outputs, up = std::max<Int>(shift, 0), signal_up = std::max<Int>(-shift, 0);
  const Int *__restrict rows = work.row_draws.data(), *__restrict signal = work.signal.data();
  Int *__restrict bias = layer.bias;
  Int count = 0;
#pragma omp simd reduction(+ : count)
  for (Int i = 0; i < n; i++) {
    const Int exact = (bias[i] << up) + (signal[i] << signal_up);
    const Int wide = rounding(exact, (rows[i] + column) & FULL);
    bias[i] = range(wide);
    count += bias[i] != wide;
  }
  layer.clamped[3] += count;
}

// -- time_constants.py -------------------------------------------------------------------------

Int exp2(Int y, Int shift, const Int *table) {
  const Int rest_bits = LOG_BITS - LOG_INDEX, fraction = y & ((Int{1} << LOG_BITS) - 1);
  const Int index = fraction >> rest_bits, rest = fraction & ((Int{1} << rest_bits) - 1);
  const Int mantissa =
      table[index] + Rounding(rest_bits)((table[index + 1] - table[index]) * rest);
  const Int left = (y >> LOG_BITS) + shift - MANTISSA;
  const Int wide = left >= 0 ? mantissa << std::min<Int>(left, CONSTANT_WIDTH)
                             : Rounding(std::min<Int>(-left, 40))(mantissa);
  return std::min<Int>(wide, (Int{1} << CONSTANT_WIDTH) - 1);
}

template <class Kind> void derive(const Layer &layer, Work<Kind> &work, const Int *table) {
  for (Int i = 0; i < layer.outputs; i++) {
    const Int log_m = layer.log_m[i], log_r = layer.log_r[i], ratio = log_r - log_m;
    work.alpha[i] = exp2(-log_m, UNIT_SHIFT, table);
    work.rho[i] = exp2(ratio, RATIO_SHIFT, table);
    work.beta[i] = exp2(-log_r, UNIT_SHIFT, table);
    work.kappa[i] = exp2(-ratio, RATIO_SHIFT, table);
  }
}

template <class Kind> void update_logs(Layer &layer, Work<Kind> &work, bool learn) {
  const Int mantissa = learn ? layer.tau_mantissa : 0, exponent = learn ? layer.tau_exponent : 0;
  const Signal signal(mantissa, layer.tau_point + layer.before - exponent);
  const Int shift = layer.tau_shift;
  const Stochastic rounding(shift);
  for (Int i = 0; i < layer.outputs; i++) {
    const Int rows = work.row_draws[i], draws = work.signal_draws[i];
    const Int error_m = layer.senses ? work.inst_e[i] : -work.e[i];
    const Int factor_m = layer.senses ? layer.sense_m[i] : work.d[i];
    const Int factor_r = layer.senses ? layer.sense_r[i] : work.ahead[i];
    const Int wide_m = signal.wide(error_m, draws ^ FULL), signal_m = signal.range(wide_m);
    const Int wide_r = signal.wide(work.inst_e[i], draws ^ FULL), signal_r = signal.range(wide_r);
    layer.clamped[1] += (signal_m != wide_m) + (signal_r != wide_r);
    const Int m = (layer.log_m[i] << shift) + signal_m * factor_m;
    const Int r = (layer.log_r[i] << shift) + signal_r * factor_r;
    layer.log_m[i] = std::clamp<Int>(rounding(m, (rows + draws) & FULL), 0, layer.log_high);
    layer.log_r[i] = std::clamp<Int>(rounding(r, (rows - draws) & FULL), 0, layer.log_high);
  }
}

template <class Kind> void sense(Layer &layer, Work<Kind> &work) {
  const Rounding by_rho(RATIO_SHIFT), by_alpha(UNIT_SHIFT);
  const Range range(SENSITIVITY_WIDTH);
  const Int keep = !work.held;
  for (Int i = 0; i < layer.outputs; i++) {
    const Int low = work.began ? 0 : layer.sense_low[i], gap = -work.d[i] - low;
    layer.sense_m[i] = keep * range(low + by_rho(work.rho[i] * gap));
    layer.sense_low[i] = keep * range(low + by_alpha(work.alpha[i] * gap));
    layer.sense_r[i] = keep * range(work.ahead[i]);
  }
}

// -- traces.py ---------------------------------------------------------------------------------

template <class Kind> void advance_traces(Layer &layer, Work<Kind> &work) {
  using Word = typename Kind::Word;
  const Rounding by_rho(layer.rho_shift + TRACE_GUARD + layer.bar_drop), by_alpha(layer.alpha_shift);
  const Range range(layer.heard_width);
  for (Int g = 0; g < layer.groups; g++) {
    const Int alpha = work.alpha[layer.first[g]], rho = work.rho[layer.first[g]];
    Int *__restrict low_words = layer.low_pass + g * layer.columns;
    Word *__restrict bar = work.bar.data() + g * work.stride;
    const Word *__restrict heard = work.heard.data();
    const Int keep = !work.began;
    Int count = 0;
#pragma omp simd reduction(+ : count)
    for (Int j = 0; j < layer.columns; j++) {
      const Int low = low_words[j] * keep, gap = (static_cast<Int>(heard[j]) << TRACE_GUARD) - low;
      const Int wide = by_rho((low << layer.rho_shift) + rho * gap), clamped = range(wide);
      count += wide != clamped;
      bar[j] = static_cast<Word>(clamped);
      low_words[j] = low + by_alpha(alpha * gap);
    }
    layer.clamped[4] += count;
  }
}

// -- step.py -----------------------------------------------------------------------------------

// Rates from below and, where it recurs, own ones of the step before.
template <class Kind>
void hear(const Layer &layer, Work<Kind> &work, const Int *below, const Int *own) {
  using Word = typename Kind::Word;
  using Sum = typename Kind::Sum;
  for (Int j = 0; j < layer.inputs; j++) work.heard[j] = static_cast<Word>(below[j]);
  for (Int j = layer.inputs; j < layer.columns; j++)
    work.heard[j] = work.began ? 0 : static_cast<Word>(own[j - layer.inputs]);
  for (Int j = 0; j < layer.columns; j++) work.x[j] = static_cast<Sum>(work.heard[j]);
}

template <class Kind>
void hear_from_above(const Run &run, Layer *layers, Int index, Int t, Work<Kind> &work) {
  Layer &layer = layers[index];
  const Int n = layer.outputs, flags = run.flags[t];
  std::fill(work.total.begin(), work.total.end(), 0);
  std::fill(work.over.begin(), work.over.end(), 0);
  if (work.began || work.held) return;
  if (layer.loops) add_part(layer, work, layer.loop, layer.before + layer.sums_point);
  if (index + 1 < run.layers) {
    const Layer &above = layers[index + 1];
    add_part(layer, work, above.down, above.before + above.sums_point);
  } else if (flags & TARGET) {
    const Int *target = run.target + t * n;
    if (flags & IS_ERROR)
      std::fill_n(work.part.data(), n, 0);
    else if (run.cross_entropy)
      softmax(layer.r, n, run.rate_bits, run.top_exp2, work.part.data());
    else
      std::copy_n(layer.r, n, work.part.data());
    for (Int i = 0; i < n; i++) work.part[i] = target[i] - work.part[i];
    add_part(layer, work, work.part.data(), -run.error_bits);
  }
}

template <class Kind> void make_draws(const Layer &layer, Work<Kind> &work, std::uint32_t noise) {
  const std::int32_t n = layer.outputs, stride = work.stride;
  const std::uint32_t by_8 = rotated(noise, 8), by_16 = rotated(noise, 16);
  Int *__restrict rows = work.row_draws.data(), *__restrict signals = work.signal_draws.data();
  std::int32_t *__restrict columns = work.column_draws.data();
#pragma omp simd
  for (std::int32_t i = 0; i < n; i++) rows[i] = draw(noise, i + 1, ROW);
#pragma omp simd
  for (std::int32_t i = 0; i < n; i++) signals[i] = draw(by_8, i + 1, SIGNAL);
#pragma omp simd
  for (std::int32_t j = 0; j < stride; j++) columns[j] = draw(by_16, j + 1, COLUMN);
}

template <class Kind> void make_signals(Layer &layer, Work<Kind> &work, bool learn) {
  const Int mantissa = learn ? layer.mantissa : 0, exponent = learn ? layer.rate_exponent : 0;
  const Signal signal(mantissa, layer.signal_point + layer.before - exponent);
  const Int n = layer.outputs;
  const Int *__restrict error = layer.groups ? work.inst_e.data() : work.e.data();
  const Int *__restrict draws = work.signal_draws.data();
  Int *__restrict words = work.signal.data();
  Int count = 0;
#pragma omp simd reduction(+ : count)
  for (Int i = 0; i < n; i++) {
    const Int wide = signal.wide(error[i], draws[i]);
    words[i] = signal.range(wide);
    count += words[i] != wide;
  }
  layer.clamped[1] += count;
}

// All rows; those whose error or signal is 0 save the work that would change nothing.
template <class Kind> void products(Layer &layer, Work<Kind> &work, bool back) {
  using Sum = typename Kind::Sum;
  std::fill(work.sums.begin(), work.sums.end(), 0);
  Update update{0, layer.update_shift, 0, Range(layer.weight_width)};
  for (Int i = 0; i < layer.outputs; i++) {
    const auto *heard = work.heard.data();
    if (layer.groups) heard = work.bar.data() + layer.group[i] * work.stride;
    update.signal = work.signal[i];
    update.row_draw = work.row_draws[i];
    const Sum e = static_cast<Sum>(work.e[i]);
    const bool down = back && work.e[i], learn = work.signal[i];
    auto row = learn ? (down ? pass<Kind, true, true> : pass<Kind, false, true>)
                     : (down ? pass<Kind, true, false> : pass<Kind, false, false>);
    work.acc[i] = static_cast<Int>(row(work, i, heard, e, update, layer.clamped[2]));
  }
  if (!back) return;
  const Rounding rounding(layer.drop);
  const Int sent = layer.loops ? layer.columns : layer.inputs;
  for (Int j = 0; j < sent; j++) {
    const Int sum = rounding(static_cast<Int>(work.sums[j]));
    (j < layer.inputs ? layer.down[j] : layer.loop[j - layer.inputs]) = sum;
  }
}

template <class Kind>
void step_layer(const Run &run, Layer *layers, Int index, Int t, Work<Kind> &work) {
  Layer &layer = layers[index];
  const bool learn = !(run.flags[t] & FREEZE);
  const auto noise = static_cast<std::uint32_t>(layer.noise);
  const Int n = layer.outputs;
  hear_from_above(run, layers, index, t, work);
  if (layer.learns_tau) derive(layer, work, run.log_exp2);
  filter(layer, work, work.began || work.held);
  make_draws(layer, work, noise);
  make_signals(layer, work, learn);
  products(layer, work, index > 0 || layer.loops || t + 1 == run.steps);
  if (work.began) std::fill_n(layer.u, n, 0);
  Int none[3] = {};
  neurons(layer, work, work.alpha.data(), work.rho.data(), layer.scale, layer.u, layer.r,
          work.held ? none : layer.saturated);
  primes(layer, work.prosp.data(), layer.r, layer.prime);
  if (work.held) std::fill_n(layer.prime, n, 0);
  update_bias(layer, work, noise);
  if (layer.learns_tau) update_logs(layer, work, learn);
  if (layer.senses) sense(layer, work);
  if (layer.groups) advance_traces(layer, work);
  if (work.held) std::fill_n(layer.u, n, 0), std::fill_n(layer.r, n, 0);
  layer.noise = advance(noise);
}

template <class Kind> void infer_layer(Layer &layer, Work<Kind> &work) {
  if (work.held) return;
  Int unused = 0;
  const Update none{0, 0, 0, Range(2)};
  for (Int i = 0; i < layer.outputs; i++)
    work.acc[i] = static_cast<Int>(
        pass<Kind, false, false>(work, i, work.heard.data(), 0, none, unused));
  if (work.began) std::fill_n(layer.u, layer.outputs, 0);
  neurons(layer, work, layer.alpha, layer.rho, layer.scale, layer.u, layer.r, layer.saturated);
}

// -- network.py --------------------------------------------------------------------------------

template <class Kind>
Int probed(const Layer &layer, const Work<Kind> &work, Int kind, Int row, Int column) {
  switch (kind) {
    case 0: return layer.u[row];
    case 1: return layer.r[row];
    case 2: return layer.prime[row];
    case 3: return layer.v[row];
    case 4: return work.inst_e[row];
    case 5: return work.e[row];
    case 6: return layer.bias[row];
    case 7: return work.weight[row * work.stride + column];
    case 8: return layer.before;
    case 9: return layer.log_m[row];
    default: return layer.log_r[row];
  }
}

// Keep the words of step `t`; `frame` is its place among the frames of all sequences.
template <class Kind>
void record(const Run &run, const Layer *layers, const std::vector<Work<Kind>> &works, Int t,
            Int frame) {
  const Layer &top = layers[run.layers - 1];
  std::copy_n(top.r, top.outputs, run.output + frame * top.outputs);
  for (Int k = 0; k < run.probes; k++) {
    const Int *probe = run.probe + 4 * k;
    run.probed[t * run.probes + k] =
        probed(layers[probe[1]], works[probe[1]], probe[0], probe[2], probe[3]);
  }
  for (Int l = 0; run.traces && l < run.layers; l++) {
    const Layer &layer = layers[l];
    const Int n = layer.outputs;
    std::copy_n(layer.u, n, layer.trace_u + frame * n);
    std::copy_n(layer.r, n, layer.trace_r + frame * n);
    if (!layer.learns) continue;
    std::copy_n(layer.v, n, layer.trace_v + t * n);
    std::copy_n(works[l].e.data(), n, layer.trace_e + t * n);
    layer.trace_exponent[t] = layer.before;
  }
}

template <class Kind>
void step(const Run &run, Layer *layers, std::vector<Work<Kind>> &works, Int t, Int frame) {
  const bool start = run.flags[t] & START, fresh = run.fresh && !t;
  for (Int l = run.layers - 1; l >= 0; l--) {  // flags and rates of the step before
    Work<Kind> &work = works[l];
    work.began = l ? layers[l - 1].start : start;
    work.held = (layers[l].waiting || (fresh && start)) && !work.began;
    hear(layers[l], work, l ? layers[l - 1].r : run.x + frame * layers[0].inputs, layers[l].r);
    layers[l].start = work.began;
    layers[l].waiting = work.held;
  }
  for (Int l = 0; l < run.layers; l++)
    layers[l].learns ? step_layer(run, layers, l, t, works[l]) : infer_layer(layers[l], works[l]);
  record(run, layers, works, t, frame);
}

// All steps of one sequence after the other; those that learn are alone.
template <class Kind> void run_all(const Run &run, Layer *layers) {
  std::vector<Work<Kind>> works;
  for (Int l = 0; l < run.layers; l++) works.push_back(prepare<Kind>(layers[l]));
  const std::vector<Layer> first(layers, layers + run.layers);
  for (Int b = 0; b < run.batch; b++) {
    for (Int l = 0; l < run.layers; l++) {
      layers[l].start = first[l].start, layers[l].waiting = first[l].waiting;
      layers[l].u = first[l].u + b * first[l].outputs;
      layers[l].r = first[l].r + b * first[l].outputs;
    }
    for (Int t = 0; t < run.steps; t++) step(run, layers, works, t, t * run.batch + b);
  }
  for (Int l = 0; l < run.layers; l++) give_back(layers[l], works[l]);
}

}  // namespace

static_assert(sizeof(Int *) == sizeof(Int), "addresses must be of 64 bits");

extern "C" void vle_run(Run *run, Layer *layers) {
  run->wide ? run_all<Wide>(*run, layers) : run_all<Narrow>(*run, layers);
}
