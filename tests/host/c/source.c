/* Whose frames a chip takes, over stdin and stdout; the answers as words on stderr. */
#define _POSIX_C_SOURCE 200809L
#include <stdio.h>

#include "line.h"
#include "vle_model.h"

static void show(const int32_t *words, size_t count) {
    for (size_t k = 0; k < count; k++) fprintf(stderr, "%ld ", (long)words[k]);
}

int main(void) {
    static line both = {0, 1};
    static vle_device device;
    static const vle_model model = VLE_MODEL;
    const vle_port port = {&both, line_write, line_read, line_millis, NULL};
    static int32_t x[VLE_INPUTS], y[3 * VLE_OUTPUTS];
    if (vle_open(&device, &port, &model, 1)) return 1;
    if (vle_listen(&device, 1, NULL, y) != VLE_ERROR_SOURCE) return 2;
    if (vle_run_raw(&device, x, 1, y)) return 3;
    show(y, VLE_OUTPUTS);
    if (vle_write_word(&device, VLE_BOARD_SENSOR_CTRL, 1)) return 4;
    if (vle_run_raw(&device, x, 1, y) != VLE_ERROR_SOURCE) return 5;
    if (vle_listen(&device, 3, NULL, y)) return 6;
    show(y, 3 * VLE_OUTPUTS);
    if (vle_write_word(&device, VLE_BOARD_SENSOR_CTRL, 0)) return 7;
    if (vle_listen(&device, 1, NULL, y) != VLE_ERROR_SOURCE) return 8;
    if (vle_run_raw(&device, x, 1, y)) return 9;
    return vle_close(&device);
}
