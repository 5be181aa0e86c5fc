/* See vle.h. What goes over the line: docs/link.md. */
#include "vle.h"

#include <string.h>

enum { HELLO = 1, REQUEST, STEPS, ACK, RESEND };                     /* frames of a host */
enum { WELCOME = 9, RESPONSE, OUTPUT, PROBE, DEVICE_ACK, REFUSED, GAP }; /* of a device */
enum { BEGINS = 1, TARGETED = 2, FROZEN = 4, IS_ERROR = 8 };            /* flags of a record */
enum { ID = 0x00, VERSION = 0x04, HASH = 0x08, CTRL = 0x0c, STATUS = 0x10 }; /* registers */
enum { HALT = 1, CLEAR = 2, IDLE = 1, SENSES = 1 };
#define SENSOR_CTRL 0x80000020u
enum { LINK_VERSION = 1, CHIP_VERSION = 1, HEADER = 4, CRC = 4, WRITES = 1, CLEARS = 1 };
enum { STANDSTILL = 4 }; /* time-outs, while the device is heard, until it counts as stuck */
#define IDENTITY 0x564c4531u

/* What a lesson comes to: which record holds what, and which output frame goes where. */
typedef struct {
    vle_lesson given;
    size_t records;  /* to send */
    size_t frames;   /* that answer them */
    size_t skipped;  /* of these, at the beginning */
    size_t delay;    /* records by which targets come later */
    unsigned hold;
    uint8_t begins, learns;
} job;

static size_t least(size_t a, size_t b) { return a < b ? a : b; }

static void put32(uint8_t *at, uint32_t word) {
    for (unsigned k = 0; k < 4; k++) at[k] = (uint8_t)(word >> 8 * k);
}

static uint32_t get32(const uint8_t *at) {
    return at[0] | (uint32_t)at[1] << 8 | (uint32_t)at[2] << 16 | (uint32_t)at[3] << 24;
}

static int32_t extend(uint32_t word, unsigned bits) {
    const uint32_t sign = (uint32_t)1 << (bits - 1);
    word &= sign | (sign - 1);
    return (word & sign) ? -(int32_t)(sign - (word & (sign - 1)) - 1) - 1 : (int32_t)word;
}

static uint32_t crc32(const uint8_t *bytes, size_t count) {
    uint32_t crc = 0xffffffffu;
    for (size_t k = 0; k < count; k++) {
        crc ^= bytes[k];
        for (int bit = 0; bit < 8; bit++) crc = crc >> 1 ^ (crc & 1 ? 0xedb88320u : 0);
    }
    return ~crc;
}

static vle_error over(vle_device *d, vle_error error) {
    d->session = 0;
    return error;
}

static uint32_t now(vle_device *d) { return d->port.millis(d->port.user); }

/* --- frames --- */

/* Send `body` with `payload` bytes behind the header: COBS(body + CRC) 0, a 0 before it where what
 * came before may have lost its own. */
static vle_error send(vle_device *d, uint8_t *body, int type, unsigned seq, size_t payload,
                      int again) {
    size_t count = HEADER + payload, at = 0, code;
    body[0] = (uint8_t)(type << 4);
    body[1] = d->session;
    body[2] = (uint8_t)seq;
    body[3] = type == HELLO ? 0 : d->expected;
    put32(body + count, crc32(body, count));
    count += CRC;
    if (again) d->line[at++] = 0;
    code = at++;
    d->line[code] = 1;
    for (size_t k = 0; k < count; k++) {
        if (d->line[code] == 0xff) {
            code = at++;
            d->line[code] = 1;
        }
        if (body[k]) {
            d->line[at++] = body[k];
            d->line[code]++;
        } else {
            code = at++;
            d->line[code] = 1;
        }
    }
    d->line[at++] = 0;
    if (type != HELLO) d->unacked = 0; /* every other frame carries `ack` */
    return d->port.write(d->port.user, d->line, at) < 0 ? over(d, VLE_ERROR_IO) : VLE_OK;
}

/* Send a frame without payload; d->out stays as it is. */
static vle_error tell(vle_device *d, int type) {
    uint8_t body[HEADER + CRC];
    return send(d, body, type, 0, 0, type == RESEND);
}

static void put(vle_device *d, uint8_t byte) {
    if (d->fill < VLE_BODY_MAX)
        d->body[d->fill++] = byte;
    else
        d->bad = 1;
}

/* Take a byte of the line; whether a whole frame now stands in d->body, d->length of payload. */
static int take(vle_device *d, uint8_t byte) {
    int good = 0;
    if (byte) {
        if (d->left) {
            put(d, byte);
            d->left--;
        } else {
            if (d->started && d->code != 0xff) put(d, 0);
            d->code = byte;
            d->left = (uint8_t)(byte - 1);
            d->started = 1;
        }
        return 0;
    }
    if (d->started) {
        good = !d->bad && !d->left && d->fill >= HEADER + CRC &&
               crc32(d->body, d->fill - CRC) == get32(d->body + d->fill - CRC);
        if (!good) d->damaged++;
        d->length = (uint16_t)(good ? d->fill - HEADER - CRC : 0);
    }
    d->fill = d->left = d->started = d->bad = 0;
    return good;
}

/* The next frame: its type, 0 where none has come yet, negative where the line has failed. */
static int next(vle_device *d) {
    for (;;) {
        while (d->chunk_at < d->chunk_end)
            if (take(d, d->chunk[d->chunk_at++])) return d->body[0] >> 4;
        int got = d->port.read(d->port.user, d->chunk, sizeof d->chunk);
        if (got < 0 || got > (int)sizeof d->chunk) return -1;
        d->chunk_at = 0;
        d->chunk_end = (uint8_t)got;
        if (!got) return 0;
    }
}

/* --- the stream to the host --- */

static float real(const vle_format *format, int32_t raw) { return (float)raw * format->scale; }

/* Whether the output frame that comes next still belongs to what runs now. */
static int wanted(const vle_device *d) {
    return d->job && d->frames < ((const job *)d->job)->frames;
}

static void store(vle_device *d, int32_t word) {
    const job *j = (const job *)d->job;
    const size_t frame = d->frames - j->skipped; /* wraps where it is one of those */
    const int last = frame % j->hold == j->hold - 1;
    if (d->frames >= j->skipped && last && frame / j->hold < j->given.steps) {
        const size_t at = frame / j->hold * d->model->outputs + d->column;
        if (j->given.out) j->given.out[at] = real(&d->model->output, word);
        if (j->given.out_raw) j->given.out_raw[at] = word;
    }
    if (++d->column == d->model->outputs) {
        d->column = 0;
        d->frames++;
    }
}

/* Take bytes of an output payload; what is not wanted now is left there: the device keeps it. */
static int output(vle_device *d) {
    const uint8_t *bytes = d->body + HEADER;
    for (; d->skip < d->length; d->skip++) {
        if (!wanted(d)) return 0;
        d->partial |= (uint32_t)bytes[d->skip] << 8 * d->part++;
        if (d->part < d->model->output.bytes) continue;
        store(d, extend(d->partial, 8u * d->model->output.bytes));
        d->partial = d->part = 0;
    }
    return 1;
}

static void probe(vle_device *d) {
    for (size_t at = 0; at + 8 <= d->length; at += 8) {
        const uint8_t *record = d->body + HEADER + at;
        if (d->port.probe)
            d->port.probe(d->port.user, extend(get32(record), 32), get32(record + 4));
    }
}

/* Take the frame if it is the one that comes next; whether anything has moved. */
static vle_error stream(vle_device *d, int type, int *moved) {
    const uint8_t ahead = (uint8_t)(d->body[2] - d->expected);
    if (ahead == 0) {
        if (type == PROBE)
            probe(d);
        else if (!output(d)) {
            d->behind = 1;
            return VLE_OK;
        }
        d->expected++;
        d->skip = d->asked = 0;
        *moved = 1;
        if (++d->unacked < (d->slots_out + 1) / 2) return VLE_OK;
        return tell(d, ACK);
    }
    if (ahead >= 128) return tell(d, ACK); /* was here before: our ack was lost */
    if (d->asked || !wanted(d)) {
        d->behind |= !wanted(d);
        return VLE_OK;
    }
    d->asked = 1; /* once for each gap; after that, silence asks */
    return tell(d, RESEND);
}

/* --- the stream to the device --- */

static void rewind_to_ack(vle_device *d) {
    if (d->sent == d->acked) return;
    d->resent += (uint8_t)(d->sent - d->acked);
    d->cursor = d->begin[d->acked % VLE_IN_FLIGHT];
    d->sent = d->acked;
}

static void acknowledge(vle_device *d, int *moved) {
    const uint8_t passed = (uint8_t)(d->body[3] - d->acked);
    if (passed > (uint8_t)(d->sent - d->acked)) return; /* an old one, from before a run */
    d->acked = d->body[3];
    d->room = d->body[0] & 15;
    if (passed) {
        d->gap = 0;
        *moved = 1;
    }
}

static int has_target(const vle_device *d, const job *j, size_t step) {
    const size_t outputs = d->model->outputs;
    if (j->given.classes) return j->given.classes[step] >= 0;
    if (j->given.y_raw) return !j->given.has_target || j->given.has_target[step];
    for (size_t k = 0; k < outputs; k++)
        if (!(j->given.y[step * outputs + k] == j->given.y[step * outputs + k])) return 0;
    return 1;
}

static uint8_t flags_of(const vle_device *d, const job *j, size_t record) {
    uint8_t flags = (uint8_t)(record == 0 && j->begins ? BEGINS : 0);
    if (!d->model->learns) return flags;
    if (!j->learns || record < j->delay) return flags | FROZEN;
    const size_t step = (record - j->delay) / j->hold, place = (record - j->delay) % j->hold;
    if (place != j->hold - 1 || (j->given.freeze && j->given.freeze[step])) flags |= FROZEN;
    if (!has_target(d, j, step)) return flags;
    return flags | TARGETED | (j->given.options & VLE_RUN_ERRORS ? IS_ERROR : 0);
}

/* Nearest word, half rounded up, of a value that is finite; clamped where it lies `beyond`. Scales
 * are powers of two, so that nothing is lost on the way. */
static int32_t nearest(const vle_format *format, float value, int *beyond) {
    const int32_t high = (int32_t)(((uint32_t)1 << (format->width - 1)) - 1), low = -high - 1;
    const float scaled = value / format->scale;
    *beyond = scaled < (float)low - 0.5f || scaled >= (float)high + 0.5f;
    if (*beyond) return scaled < 0 ? low : high;
    int32_t below = (int32_t)scaled;
    if ((float)below > scaled) below--;
    return below + (scaled - (float)below >= 0.5f);
}

static int32_t word_of(const vle_device *d, const job *j, const vle_cursor *c) {
    const vle_model *m = d->model;
    size_t word = c->word, step;
    int beyond;
    if (c->flags & TARGETED) {
        if (word < m->outputs) {
            step = (c->record - j->delay) / j->hold;
            if (j->given.classes) {
                const int32_t one = (int32_t)(1.0f / m->target.scale);
                return j->given.classes[step] == (int32_t)word ? one : 0;
            }
            if (j->given.y_raw) return j->given.y_raw[step * m->outputs + word];
            return nearest(&m->target, j->given.y[step * m->outputs + word], &beyond);
        }
        word -= m->outputs;
    }
    step = c->record / j->hold;
    if (step >= j->given.steps) return 0;
    if (j->given.x_raw) return j->given.x_raw[step * m->inputs + word];
    return nearest(&m->input, j->given.x[step * m->inputs + word], &beyond);
}

/* Fill a frame from the cursor on: whole words, and records as long as their flags agree. */
static size_t fill(vle_device *d, const job *j) {
    const vle_model *m = d->model;
    vle_cursor *c = &d->cursor;
    uint8_t *payload = d->out + HEADER;
    size_t at = 1;
    while (c->record < j->records) {
        if (c->word == 0) {
            c->flags = flags_of(d, j, c->record);
            if (at > 1 && c->flags != payload[0]) break;
        }
        payload[0] = c->flags;
        const size_t targets = c->flags & TARGETED ? m->outputs : 0;
        const size_t size = c->word < targets ? m->target.bytes : m->input.bytes;
        if (at + size > d->payload_max) break;
        const uint32_t word = (uint32_t)word_of(d, j, c);
        for (size_t k = 0; k < size; k++) payload[at++] = (uint8_t)(word >> 8 * k);
        if (++c->word == targets + m->inputs) {
            c->word = 0;
            c->record++;
        }
    }
    return at;
}

static vle_error send_steps(vle_device *d, int again) {
    const job *j = (const job *)d->job;
    vle_error error = VLE_OK;
    while (!error && d->cursor.record < j->records) {
        const uint8_t under_way = (uint8_t)(d->sent - d->acked);
        if (under_way >= d->slots_in || under_way >= d->room) break;
        d->begin[d->sent % VLE_IN_FLIGHT] = d->cursor;
        error = send(d, d->out, STEPS, d->sent, fill(d, j), again);
        d->sent++;
    }
    return error;
}

/* --- sessions --- */

/* Act on a frame of type `type`; `moved`: it has brought us on. */
static vle_error act(vle_device *d, int type, int *moved) {
    if (type == REFUSED) {
        if (d->body[1] == d->session) return VLE_OK; /* of one before */
        return over(d, d->body[1] ? VLE_ERROR_TAKEN : VLE_ERROR_RESET);
    }
    if (d->body[1] != d->session || type < RESPONSE) return VLE_OK;
    acknowledge(d, moved);
    if (type == OUTPUT || type == PROBE) return stream(d, type, moved);
    if (type == GAP && !d->gap) {
        d->gap = 1; /* once for each gap, as above */
        rewind_to_ack(d);
        if (d->job) return send_steps(d, 1);
    }
    return VLE_OK;
}

typedef struct {
    uint32_t moved, heard, asked;
} waiting;

static waiting patient(vle_device *d) {
    const uint32_t at = now(d);
    const waiting w = {at, at, at};
    return w;
}

/* Whether to ask again now; or VLE_ERROR_TIMEOUT in *error where it was long enough. */
static int silent(vle_device *d, waiting *w, int heard, int moved, vle_error *error) {
    const uint32_t at = now(d);
    if (heard) w->heard = at;
    if (moved) w->moved = w->asked = at;
    if ((uint32_t)(at - w->heard) >= d->timeout_ms ||
        (uint32_t)(at - w->moved) / STANDSTILL >= d->timeout_ms) {
        *error = over(d, VLE_ERROR_TIMEOUT);
        return 0;
    }
    if ((uint32_t)(at - w->asked) < d->retry_ms) return 0;
    w->asked = at;
    return 1;
}

static vle_error drive(vle_device *d, const job *j) {
    const vle_cursor first = {0, 0, 0};
    waiting w = patient(d);
    vle_error error = VLE_OK;
    d->job = j;
    d->cursor = first;
    d->frames = 0;
    d->gap = 0;
    if (d->behind) error = tell(d, RESEND);
    d->behind = d->asked = 0;
    while (!error && d->frames < j->frames) {
        int moved = 0, type;
        if ((error = send_steps(d, 0))) break;
        if ((type = next(d)) < 0)
            error = over(d, VLE_ERROR_IO);
        else if (type)
            error = act(d, type, &moved);
        if (!error && silent(d, &w, type > 0, moved, &error)) {
            rewind_to_ack(d);
            d->gap = d->asked = 0;
            error = tell(d, RESEND);
        }
    }
    d->job = NULL;
    d->acked = d->sent; /* all was heard, or the session is over */
    if (!error && d->unacked) error = tell(d, ACK);
    return error;
}

/* One request in d->out, `payload` bytes of it; the response is then in d->body. */
static vle_error request(vle_device *d, size_t payload) {
    waiting w = patient(d);
    vle_error error = send(d, d->out, REQUEST, ++d->request, payload, 0);
    while (!error) {
        int moved = 0, type = next(d);
        if (type < 0) return over(d, VLE_ERROR_IO);
        if (type && (error = act(d, type, &moved))) break;
        if (type == RESPONSE && d->body[1] == d->session && d->body[2] == d->request) return VLE_OK;
        if (silent(d, &w, type > 0, 0, &error)) {
            d->resent++;
            error = send(d, d->out, REQUEST, d->request, payload, 1);
        }
    }
    return error;
}

static vle_error hello(vle_device *d) {
    waiting w = patient(d);
    vle_error error;
    d->out[HEADER] = LINK_VERSION;
    d->out[HEADER + 1] = CLEARS;
    error = send(d, d->out, HELLO, 0, 2, 1);
    while (!error) {
        const int type = next(d);
        if (type < 0) return over(d, VLE_ERROR_IO);
        if (type == WELCOME && d->body[1] == d->session) {
            const uint8_t *told = d->body + HEADER;
            if (d->length < 4 || told[0] != LINK_VERSION || told[1] < 10 || !told[2] || !told[3])
                return over(d, VLE_ERROR_VERSION);
            d->payload_max = told[1];
            d->slots_in = (uint8_t)least(told[2], VLE_IN_FLIGHT - 1);
            d->room = d->slots_in;
            d->slots_out = told[3];
            return VLE_OK;
        }
        if (silent(d, &w, 0, 0, &error)) error = send(d, d->out, HELLO, 0, 2, 1);
    }
    return error;
}

static int sound(const vle_format *format) {
    return format->width >= 1 && format->width <= 8 * format->bytes && format->bytes <= 4 &&
           format->scale > 0;
}

vle_error vle_open(vle_device *d, const vle_port *port, const vle_model *model, uint32_t seed) {
    uint32_t words[3];
    vle_error error;
    memset(d, 0, sizeof *d);
    if (!model->inputs || !model->outputs || !model->layers || !sound(&model->input) ||
        !sound(&model->output) || (model->learns && (!sound(&model->target) || !model->hold)))
        return VLE_ERROR_ARGUMENT;
    d->port = *port;
    d->model = model;
    d->retry_ms = 250;
    d->timeout_ms = 3000;
    d->session = (uint8_t)(1 + (seed ^ seed >> 8 ^ seed >> 16 ^ seed >> 24) % 255);
    if ((error = hello(d)) || (error = vle_read(d, ID, words, 3))) return error;
    if (words[0] != IDENTITY || words[1] != CHIP_VERSION) return over(d, VLE_ERROR_VERSION);
    return words[2] == model->hash ? VLE_OK : over(d, VLE_ERROR_HASH);
}

vle_error vle_close(vle_device *d) {
    if (!d->session) return VLE_ERROR_CLOSED;
    d->session = 0; /* a HELLO of this one ends any */
    d->out[HEADER] = LINK_VERSION;
    d->out[HEADER + 1] = 0;
    return send(d, d->out, HELLO, 0, 2, 1);
}

/* --- registers and memories --- */

/* Read words `to` somewhere, or write them `from` somewhere; the other of the two is NULL. */
static vle_error access(vle_device *d, uint32_t address, uint32_t *to, const uint32_t *from,
                        size_t count) {
    const size_t most = (d->payload_max - 6u) / 4;
    if (!d->session) return VLE_ERROR_CLOSED;
    for (size_t at = 0, part; at < count; at += part) {
        uint8_t *payload = d->out + HEADER;
        part = least(count - at, most);
        payload[0] = from ? WRITES : 0;
        payload[1] = (uint8_t)part;
        put32(payload + 2, address + (uint32_t)(4 * at));
        for (size_t k = 0; from && k < part; k++) put32(payload + 6 + 4 * k, from[at + k]);
        const vle_error error = request(d, 6 + (from ? 4 * part : 0));
        if (error) return error;
        payload = d->body + HEADER;
        if (d->length < 3) return over(d, VLE_ERROR_VERSION);
        if (payload[2]) return VLE_ERROR_REFUSED;
        if (payload[1] != part || (to && d->length != 3 + 4 * part))
            return over(d, VLE_ERROR_VERSION);
        for (size_t k = 0; to && k < part; k++) to[at + k] = get32(payload + 3 + 4 * k);
    }
    return VLE_OK;
}

vle_error vle_read(vle_device *d, uint32_t address, uint32_t *words, size_t count) {
    return access(d, address, words, NULL, count);
}

vle_error vle_write(vle_device *d, uint32_t address, const uint32_t *words, size_t count) {
    return access(d, address, NULL, words, count);
}

vle_error vle_write_word(vle_device *d, uint32_t address, uint32_t word) {
    return vle_write(d, address, &word, 1);
}

static vle_error until_idle(vle_device *d) {
    const uint32_t begin = now(d);
    uint32_t status;
    vle_error error;
    while (!(error = vle_read(d, STATUS, &status, 1)) && !(status & IDLE))
        if ((uint32_t)(now(d) - begin) >= d->timeout_ms) return VLE_ERROR_BUSY;
    return error;
}

vle_error vle_halt(vle_device *d) {
    const vle_error error = vle_write_word(d, CTRL, HALT);
    return error ? error : until_idle(d);
}

vle_error vle_resume(vle_device *d) { return vle_write_word(d, CTRL, 0); }

vle_error vle_reset(vle_device *d) {
    const vle_error error = vle_write_word(d, CTRL, CLEAR);
    return error ? error : until_idle(d);
}

static uint32_t address_of(const vle_window *w, size_t row, size_t column) {
    const size_t place = w->first + column;
    const size_t word = row / w->pe * w->tiles + place / w->simd;
    const size_t lane = row % w->pe * w->simd + place % w->simd;
    return w->address + (uint32_t)(4 * ((word << w->lane_bits) + lane));
}

/* As `access`; words at addresses that follow each other go together. */
static vle_error each(vle_device *d, const vle_window *w, int32_t *to, const int32_t *from) {
    const size_t count = (size_t)w->rows * w->columns;
    uint32_t part[(VLE_PAYLOAD_MAX - 6) / 4];
    for (size_t at = 0, size; at < count; at += size) {
        const uint32_t begin = address_of(w, at / w->columns, at % w->columns);
        for (size = 0; size < sizeof part / sizeof *part && at + size < count; size++) {
            const size_t k = at + size;
            if (address_of(w, k / w->columns, k % w->columns) != begin + 4 * size) break;
            if (from) part[size] = (uint32_t)from[k];
        }
        const vle_error error = access(d, begin, to ? part : NULL, from ? part : NULL, size);
        if (error) return error;
        for (size_t k = 0; to && k < size; k++) to[at + k] = extend(part[k], 32);
    }
    return VLE_OK;
}

vle_error vle_read_window(vle_device *d, const vle_window *w, int32_t *words) {
    return each(d, w, words, NULL);
}

static int fits(int32_t word, unsigned width, int is_signed) {
    const int64_t high = (int64_t)1 << (width - (is_signed ? 1 : 0));
    return word >= (is_signed ? -high : 0) && word < high;
}

vle_error vle_write_window(vle_device *d, const vle_window *w, const int32_t *words) {
    for (size_t k = 0; k < (size_t)w->rows * w->columns; k++)
        if (!fits(words[k], w->width, w->is_signed)) return VLE_ERROR_ARGUMENT;
    return each(d, w, NULL, words);
}

uint32_t vle_rate_word(double rate) {
    int exponent = 0;
    if (!(rate >= 0) || rate > 1e44) return 0xffffffffu;
    if (rate == 0) return 0;
    for (; rate < 32768 && exponent <= 128; exponent++) rate *= 2;
    for (; rate >= 65536; exponent--) rate /= 2;
    uint32_t mantissa = (uint32_t)rate;
    const double rest = rate - mantissa; /* half goes to even, as in vle.host.rates */
    if (rest > 0.5 || (rest == 0.5 && (mantissa & 1))) mantissa++;
    if (mantissa == 65536) {
        mantissa = 32768;
        exponent--;
    }
    if (exponent > 127 || exponent < -128) return 0xffffffffu;
    return mantissa | (uint32_t)(exponent & 0xff) << 16;
}

/* --- runs --- */

static vle_error check_inputs(const vle_device *d, const vle_lesson *g, uint32_t *clamped) {
    const vle_format *format = &d->model->input;
    const size_t count = g->steps * d->model->inputs;
    int beyond;
    if (!g->x == !g->x_raw) return VLE_ERROR_ARGUMENT;
    for (size_t k = 0; k < count; k++) {
        if (g->x_raw) {
            if (!fits(g->x_raw[k], format->width, 1)) return VLE_ERROR_ARGUMENT;
        } else {
            if (!(g->x[k] - g->x[k] == 0)) return VLE_ERROR_ARGUMENT; /* not finite */
            nearest(format, g->x[k], &beyond);
            *clamped += beyond != 0;
        }
    }
    return VLE_OK;
}

/* Of a step in real units: in range, and probabilities where the loss wants them. */
static int targets_fit(const vle_device *d, const vle_lesson *g, const float *y) {
    const vle_format *format = &d->model->target;
    const float high = (float)((uint32_t)1 << (format->width - 1));
    float sum = 0;
    for (size_t k = 0; k < d->model->outputs; k++) {
        const float scaled = y[k] / format->scale; /* 1 is the last word below it */
        if (scaled < -high - 0.5f || scaled >= high + 0.5f) return 0;
        if (d->model->softmax && !(g->options & VLE_RUN_ERRORS) && y[k] < 0) return 0;
        sum += y[k];
    }
    if (!d->model->softmax || (g->options & VLE_RUN_ERRORS)) return 1;
    return sum > 0.999f && sum < 1.001f;
}

static vle_error check_targets(const vle_device *d, const vle_lesson *g, const job *j) {
    const size_t outputs = d->model->outputs;
    if (!d->model->learns || !g->y + !g->y_raw + !g->classes != 2) return VLE_ERROR_ARGUMENT;
    const int errors = (g->options & VLE_RUN_ERRORS) != 0;
    if (g->classes && (!d->model->softmax || errors)) return VLE_ERROR_ARGUMENT;
    for (size_t step = 0; step < g->steps; step++) {
        if (g->classes && (g->classes[step] < -1 || g->classes[step] >= (int32_t)outputs))
            return VLE_ERROR_ARGUMENT;
        for (size_t k = step * outputs; g->y_raw && k < (step + 1) * outputs; k++)
            if (!fits(g->y_raw[k], d->model->target.width, 1)) return VLE_ERROR_ARGUMENT;
        if (g->y && has_target(d, j, step) && !targets_fit(d, g, g->y + step * outputs))
            return VLE_ERROR_ARGUMENT;
    }
    return VLE_OK;
}

/* Frames must come from the sensor, or from the host; a board without one is asked once. */
static vle_error check_source(vle_device *d, uint32_t sensor) {
    uint32_t control = 0;
    if (!d->session) return VLE_ERROR_CLOSED;
    if (!d->sensorless) {
        const vle_error error = vle_read(d, SENSOR_CTRL, &control, 1);
        if (error == VLE_ERROR_REFUSED)
            d->sensorless = 1;
        else if (error)
            return error;
    }
    return (d->sensorless ? 0 : control & SENSES) == sensor ? VLE_OK : VLE_ERROR_SOURCE;
}

/* Reset where asked for, and run. */
static vle_error run(vle_device *d, const vle_lesson *lesson, int learns) {
    const vle_model *m = d->model;
    uint32_t clamped = 0;
    vle_error error;
    job j = {0};
    if (!d->session) return VLE_ERROR_CLOSED;
    j.given = *lesson;
    j.learns = (uint8_t)learns;
    j.hold = learns ? (lesson->hold ? lesson->hold : m->hold) : 1u;
    if ((error = check_inputs(d, lesson, &clamped))) return error;
    if (learns && (error = check_targets(d, lesson, &j))) return error;
    int aligned = m->aligned;
    if (lesson->options & VLE_RUN_ALIGNED) aligned = 1;
    if (lesson->options & VLE_RUN_NOT_ALIGNED) aligned = 0;
    aligned = aligned && j.hold == 1;
    j.begins = (uint8_t)aligned;
    j.skipped = aligned ? m->layers - 1u : 0;
    j.delay = aligned && learns ? m->layers : 0;
    j.records = lesson->steps * j.hold + (learns ? j.delay : j.skipped);
    j.frames = j.records;
    if ((error = check_source(d, 0))) return error;
    if (!(lesson->options & VLE_RUN_CONTINUE) && (error = vle_reset(d))) return error;
    error = drive(d, &j);
    if (!error) d->clamped += clamped;
    return error;
}

vle_error vle_run_lesson(vle_device *d, const vle_lesson *lesson) { return run(d, lesson, 0); }

vle_error vle_learn(vle_device *d, const vle_lesson *lesson) { return run(d, lesson, 1); }

vle_error vle_run(vle_device *d, const float *x, size_t steps, float *y) {
    vle_lesson lesson = {0};
    lesson.steps = steps;
    lesson.x = x;
    lesson.out = y;
    return run(d, &lesson, 0);
}

vle_error vle_run_raw(vle_device *d, const int32_t *x, size_t steps, int32_t *y) {
    vle_lesson lesson = {0};
    lesson.steps = steps;
    lesson.x_raw = x;
    lesson.out_raw = y;
    return run(d, &lesson, 0);
}

vle_error vle_listen(vle_device *d, size_t frames, float *y, int32_t *y_raw) {
    job j = {0};
    const vle_error error = check_source(d, SENSES);
    if (error) return error;
    j.given.steps = j.frames = frames;
    j.given.out = y;
    j.given.out_raw = y_raw;
    j.hold = 1;
    return drive(d, &j);
}

const char *vle_strerror(vle_error error) {
    switch (error) {
    case VLE_OK: return "no error";
    case VLE_ERROR_ARGUMENT: return "an argument is out of range, not finite, or not of this model";
    case VLE_ERROR_IO: return "the line has failed";
    case VLE_ERROR_TIMEOUT: return "the device does not answer";
    case VLE_ERROR_RESET: return "the device was reset";
    case VLE_ERROR_TAKEN: return "another host has taken the device";
    case VLE_ERROR_VERSION: return "the device is none of ours, or of another version";
    case VLE_ERROR_HASH: return "the chip was made from another bundle";
    case VLE_ERROR_REFUSED: return "the device has refused an access";
    case VLE_ERROR_BUSY: return "the chip is not idle in time";
    case VLE_ERROR_CLOSED: return "there is no session";
    case VLE_ERROR_SOURCE: return "the frames come from the sensor, or to listen, from the host";
    }
    return "unknown error";
}
