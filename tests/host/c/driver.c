/* Runs, learns, reads and writes as it is told, over stdin and stdout; data is in files.
 *
 * driver FOLDER STEPS RETRY: x.f32, y.f32, freeze.u8 in; run.f32, raw.i32, learn.f32, weight.i32,
 * registers.u32 out; the error in words on stderr. */
#define _POSIX_C_SOURCE 200809L
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "line.h"
#include "vle_model.h"

static const vle_model model = VLE_MODEL;
static const vle_window weight = VLE_WINDOW_LAYER0_WEIGHT;
static const char *folder;

static void probed(void *user, int32_t word, uint32_t about) {
    (void)user, (void)word, (void)about;
}

static void *load(const char *name, size_t count, size_t size) {
    char path[512];
    void *data = calloc(count ? count : 1, size);
    snprintf(path, sizeof path, "%s/%s", folder, name);
    FILE *file = fopen(path, "rb");
    if (!file || !data || fread(data, size, count, file) != count) exit(3);
    fclose(file);
    return data;
}

static void save(const char *name, const void *data, size_t count, size_t size) {
    char path[512];
    snprintf(path, sizeof path, "%s/%s", folder, name);
    FILE *file = fopen(path, "wb");
    if (!file || fwrite(data, size, count, file) != count) exit(3);
    fclose(file);
}

static void check(vle_error error, const char *what) {
    if (!error) return;
    fprintf(stderr, "%s: %s\n", what, vle_strerror(error));
    exit(1);
}

int main(int count, char **told) {
    static line both = {0, 1};
    static vle_device device;
    const vle_port port = {&both, line_write, line_read, line_millis, probed};
    if (count != 4) return 2;
    folder = told[1];
    const size_t steps = (size_t)atol(told[2]);
    float *x = load("x.f32", steps * VLE_INPUTS, sizeof *x);
    float *y = calloc(steps * VLE_OUTPUTS, sizeof *y);
    int32_t *raw = calloc(steps * VLE_OUTPUTS, sizeof *raw);
    uint32_t registers[3];

    check(vle_open(&device, &port, &model, line_millis(NULL)), "open");
    device.retry_ms = (uint32_t)atol(told[3]);
    vle_lesson lesson = {0};
    lesson.steps = steps;
    lesson.x = x;
    lesson.out = y;
    lesson.out_raw = raw;
    check(vle_run_lesson(&device, &lesson), "run");
    save("run.f32", y, steps * VLE_OUTPUTS, sizeof *y);
    save("raw.i32", raw, steps * VLE_OUTPUTS, sizeof *raw);
#if VLE_LEARNS
    uint32_t rate[VLE_LAYERS];
    for (size_t k = 0; k < VLE_LAYERS; k++) rate[k] = vle_rate_word(0.05 * VLE_RATE_FACTOR);
    check(vle_write(&device, VLE_REG_RATE_0, rate, VLE_LAYERS), "rate");
    lesson.freeze = load("freeze.u8", steps, 1);
#if VLE_SOFTMAX
    lesson.classes = load("classes.i32", steps, sizeof(int32_t));
#else
    lesson.y = load("y.f32", steps * VLE_OUTPUTS, sizeof(float));
#endif
    check(vle_learn(&device, &lesson), "learn");
    save("learn.f32", y, steps * VLE_OUTPUTS, sizeof *y);
#endif
    const size_t words = (size_t)weight.rows * weight.columns;
    int32_t *before = calloc(words, sizeof *before), *after = calloc(words, sizeof *after);
    check(vle_halt(&device), "halt");
    check(vle_read_window(&device, &weight, before), "read");
    int32_t last = before[words - 1];
    before[words - 1] = last ? 0 : 1;
    check(vle_write_window(&device, &weight, before), "write");
    check(vle_read_window(&device, &weight, after), "read back");
    if (memcmp(before, after, words * sizeof *after)) check(VLE_ERROR_REFUSED, "compare");
    before[words - 1] = last;
    check(vle_write_window(&device, &weight, before), "write");
    check(vle_resume(&device), "resume");
    save("weight.i32", before, words, sizeof *before);
    check(vle_read(&device, VLE_REG_ID, registers, 3), "registers");
    save("registers.u32", registers, 3, sizeof *registers);
    if (vle_write_word(&device, VLE_REG_ID, 1) != VLE_ERROR_REFUSED) return 4;
    check(vle_close(&device), "close");
    if (vle_read(&device, VLE_REG_ID, registers, 1) != VLE_ERROR_CLOSED) return 5;
    fprintf(stderr, "damaged %u resent %u\n", (unsigned)device.damaged, (unsigned)device.resent);
    return 0;
}
