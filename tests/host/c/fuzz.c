/* The driver against a line that says anything: fuzz SEED MILLIONS.
 *
 * Four kinds of talk, changed at random: noise; frames that are sound but senseless; frames that a
 * device might say; what was said before, damaged. Time is counted in calls. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "vle.h"

#define SENSOR_CTRL 0x80000020u
enum { STEPS = 5, LEARNS = 1, IN = 3, OUT = 2 };

static uint64_t state;
static uint32_t ticks, where;
static uint64_t bytes, frames, opened, done[16];
static uint8_t queue[2048], old[2048], session, sequence, request, writes, asked;
static size_t at, end, old_end;
static const vle_model model = {
    0x1234u, IN, OUT, 2, 1, 1, 0, 1, {12, 2, 0.125f}, {20, 3, 0.25f}, {20, 3, 0.25f}};

static uint32_t draw(uint32_t below) {
    state ^= state << 13;
    state ^= state >> 7;
    state ^= state << 17;
    return (uint32_t)(state >> 16) % below;
}

static uint32_t crc_of(const uint8_t *data, size_t count) {
    uint32_t crc = ~0u;
    for (size_t k = 0; k < count; k++) {
        crc ^= data[k];
        for (int bit = 0; bit < 8; bit++) crc = crc >> 1 ^ (crc & 1 ? 0xedb88320u : 0);
    }
    return ~crc;
}

static void say(const uint8_t *body, size_t count, int sound) {
    uint8_t frame[600];
    memcpy(frame, body, count);
    uint32_t crc = crc_of(body, count) ^ (sound ? 0u : 1u);
    for (int k = 0; k < 4; k++) frame[count++] = (uint8_t)(crc >> 8 * k);
    size_t code = end++;
    queue[code] = 1;
    for (size_t k = 0; k < count; k++) {
        if (queue[code] == 0xff || !frame[k]) {
            const int zero = queue[code] != 0xff;
            code = end++;
            queue[code] = 1;
            if (zero) continue;
            if (!frame[k]) {
                code = end++;
                queue[code] = 1;
                continue;
            }
        }
        queue[end++] = frame[k];
        queue[code]++;
    }
    queue[end++] = 0;
    frames++;
}

static void senseless(void) {
    uint8_t body[600];
    const size_t count = draw(4) ? draw(270) : draw(560);
    for (size_t k = 0; k < count; k++) body[k] = (uint8_t)draw(draw(3) ? 256 : 4);
    if (count > 1 && (draw(2) || (body[0] >> 4 == 14 && draw(50)))) body[1] = session;
    say(body, count, draw(8) != 0);
}

static void device(void) {
    static const uint8_t kinds[] = {9, 10, 10, 10, 11, 11, 11, 12, 13, 15, 14};
    uint8_t body[300] = {0};
    const unsigned kind = kinds[draw(session ? sizeof kinds : 4)];
    size_t count = 4;
    body[0] = (uint8_t)(kind << 4 | draw(16));
    body[1] = kind == 14 && draw(64) ? session : draw(200) ? session : (uint8_t)draw(256);
    body[3] = (uint8_t)draw(draw(2) ? 16 : 256);
    if (kind == 9) {
        const uint8_t told[4] = {1, (uint8_t)(draw(9) ? 255 - draw(240) : draw(12)),
                                 (uint8_t)draw(20), (uint8_t)draw(20)};
        memcpy(body + 4, told, 4);
        count += draw(20) ? 4 : draw(4);
        sequence = 0;
    } else if (kind == 10) {
        body[2] = draw(20) ? request : (uint8_t)draw(256);
        const unsigned words = draw(40) ? asked : draw(63);
        body[4] = writes;
        body[5] = (uint8_t)words;
        body[6] = (uint8_t)(draw(40) == 0);
        const uint32_t id[3] = {0x564c4531u, 1, 0x1234u};
        for (unsigned k = 0; k < 4 * words; k++) {
            const uint32_t word = words == 3              ? id[k / 4]
                                  : where == SENSOR_CTRL ? draw(2)
                                  : draw(9)              ? 1
                                                         : draw(256);
            body[7 + k] = (uint8_t)(word >> 8 * (k % 4));
        }
        count += writes ? 3 : 3 + 4 * words;
        if (!draw(60)) count = 4 + draw(280);
    } else if (kind == 11 || kind == 12) {
        body[2] = (uint8_t)(draw(6) ? sequence++ : draw(256));
        const size_t more = draw(250);
        for (size_t k = 0; k < more; k++) body[4 + k] = (uint8_t)draw(256);
        count += more;
    }
    say(body, count, draw(50) != 0);
}

static void damage(void) {
    memcpy(queue, old, old_end);
    end = old_end;
    for (uint32_t k = draw(4); end && k; k--)
        queue[draw((uint32_t)end)] ^= (uint8_t)(1u << draw(8));
    if (end && !draw(3)) end = draw((uint32_t)end);
}

static int port_read(void *user, uint8_t *to, size_t count) {
    (void)user;
    ticks += draw(20);
    if (!draw(4)) return 0;
    if (!draw(50000)) return -1;
    if (at == end) {
        memcpy(old, queue, end);
        old_end = end;
        at = end = 0;
        const uint32_t kind = draw(16);
        if (kind == 0)
            for (end = 0; end < 300; end++) queue[end] = (uint8_t)draw(draw(2) ? 256 : 3);
        else if (kind < 3)
            senseless();
        else if (kind == 3)
            damage();
        else
            device();
    }
    size_t part = 1 + draw((uint32_t)count);
    if (part > end - at) part = end - at;
    memcpy(to, queue + at, part);
    at += part;
    bytes += part;
    return (int)part;
}

static int port_write(void *user, const uint8_t *from, size_t count) {
    (void)user;
    if (!count || from[count - 1]) abort(); /* ends with a 0 */
    uint8_t body[300];
    size_t k = from[0] ? 0 : 1, size = 0;
    while (k < count - 1) { /* what the driver says is sound */
        const uint8_t code = from[k++];
        for (unsigned n = 1; n < code; n++) body[size++] = from[k++];
        if (code != 0xff && k < count - 1) body[size++] = 0;
    }
    if (size < 8 || size > 263) abort();
    const uint8_t *c = body + size - 4;
    if (crc_of(body, size - 4) !=
        (c[0] | (uint32_t)c[1] << 8 | (uint32_t)c[2] << 16 | (uint32_t)c[3] << 24)) abort();
    session = body[1];
    if (body[0] >> 4 == 2) {
        request = body[2], writes = body[4], asked = body[5];
        where = body[6] | (uint32_t)body[7] << 8 | (uint32_t)body[8] << 16 |
                (uint32_t)body[9] << 24;
    }
    if (body[0] >> 4 == 1) sequence = 0;
    return draw(100000) ? 0 : -1;
}

static uint32_t port_millis(void *user) {
    (void)user;
    return ticks++;
}

static void port_probe(void *user, int32_t word, uint32_t about) {
    (void)user, (void)word, (void)about;
}

static void use(vle_device *d) {
    const vle_window window = {0x1000, 3, 5, 16, 1, 2, 2, 2, 3, 0};
    float *x = malloc(STEPS * IN * sizeof *x), *y = malloc(STEPS * OUT * sizeof *y);
    int32_t *raw = malloc(STEPS * OUT * sizeof *raw), *words = malloc(15 * sizeof *words);
    uint32_t *registers = malloc(100 * sizeof *registers);
    for (int k = 0; k < STEPS * IN; k++) x[k] = ((float)draw(1000) - 500) / (float)(1 + draw(9));
    for (int k = 0; k < STEPS * OUT; k++) y[k] = (float)draw(1000);
    vle_lesson lesson = {0};
    lesson.steps = STEPS;
    lesson.options = draw(16);
    lesson.x = x;
    lesson.y = y;
    lesson.hold = draw(4);
    lesson.out_raw = raw;
    for (int k = 0; k < 15; k++) words[k] = (int32_t)draw(65536) - 32768;
    switch (draw(6)) {
    case 0: done[vle_run(d, x, STEPS, y)]++; break;
    case 1: done[vle_learn(d, &lesson)]++; break;
    case 2: done[vle_read(d, draw(9999), registers, 1 + draw(99))]++; break;
    case 3: done[vle_read_window(d, &window, words)]++; break;
    case 4: done[vle_write_window(d, &window, words)]++; break;
    default: done[vle_listen(d, 1 + draw(STEPS), y, raw)]++; break;
    }
    free(x), free(y), free(raw), free(words), free(registers);
}

int main(int count, char **told) {
    if (count != 3) return 2;
    state = strtoull(told[1], NULL, 10) * 2654435761u + 88172645463325252u;
    const uint64_t most = strtoull(told[2], NULL, 10) * 1000000u;
    const vle_port port = {NULL, port_write, port_read, port_millis, port_probe};
    vle_device *d = malloc(sizeof *d);
    while (bytes < most) {
        vle_error error = vle_open(d, &port, &model, draw(1u << 30));
        opened += !error;
        d->timeout_ms = 500 + draw(3000);
        for (int k = 0; !error && k < 20 && d->session; k++) use(d);
        vle_close(d);
        if (error > VLE_ERROR_SOURCE || !*vle_strerror(error)) abort();
    }
    free(d);
    printf("bytes %llu frames %llu opened %llu calls", (unsigned long long)bytes,
           (unsigned long long)frames, (unsigned long long)opened);
    for (int k = 0; k < 16; k++) printf(" %llu", (unsigned long long)done[k]);
    puts("");
    return opened && done[VLE_OK] ? 0 : 1;
}
