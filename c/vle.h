/* Drives a device over a line of bytes: see docs/c.md; what goes over the line, docs/link.md.
 *
 * C99 without allocation and without globals: all that a session needs is in a vle_device, which is
 * yours. Everything blocks at most for the time-out. Include vle_model.h of your bundle and
 * VLE_MODEL describes it; a program may hold any number of devices and models. */
#ifndef VLE_H
#define VLE_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define VLE_PAYLOAD_MAX 255 /* of a frame; its length is one byte of WELCOME */
#define VLE_BODY_MAX (VLE_PAYLOAD_MAX + 8)
#define VLE_LINE_MAX (VLE_BODY_MAX + VLE_BODY_MAX / 254 + 3)
#define VLE_IN_FLIGHT 16 /* frames that may be under way, a power of two above `room` */

typedef enum {
    VLE_OK = 0,
    VLE_ERROR_ARGUMENT, /* from the caller: not finite, out of range, or not of this model */
    VLE_ERROR_IO,       /* a callback of the port has failed */
    VLE_ERROR_TIMEOUT,  /* the device does not answer */
    VLE_ERROR_RESET,    /* the device was reset */
    VLE_ERROR_TAKEN,    /* another host has taken the device */
    VLE_ERROR_VERSION,  /* it speaks another version of the link, or is no chip of ours */
    VLE_ERROR_HASH,     /* the chip was made from another bundle */
    VLE_ERROR_REFUSED,  /* an access to a register or a memory */
    VLE_ERROR_BUSY,     /* the chip is not idle in time */
    VLE_ERROR_CLOSED,   /* no session: vle_open has not been called, or the session is over */
    VLE_ERROR_SOURCE    /* frames come from the sensor, or where one listens to it from the host */
} vle_error;

/* What an error means, in a few words; never NULL. */
const char *vle_strerror(vle_error error);

/* The way to the device. */
typedef struct {
    void *user; /* handed to all callbacks */
    /* Send all bytes; 0, or negative where the line has failed. */
    int (*write)(void *user, const uint8_t *bytes, size_t count);
    /* Bytes that have come, at most `count`, after a short wait at most; negative as above. */
    int (*read)(void *user, uint8_t *bytes, size_t count);
    /* Milliseconds since any moment, modulo 2^32. */
    uint32_t (*millis)(void *user);
    /* A word of a probe: docs/host.md. May be NULL. */
    void (*probe)(void *user, int32_t word, uint32_t about);
} vle_port;

/* value = raw * scale; in bits of the raw word, and bytes on the line. */
typedef struct {
    uint8_t width, bytes;
    float scale;
} vle_format;

typedef struct {
    uint32_t hash;
    uint16_t inputs, outputs, layers;
    uint8_t aligned; /* answers are aligned with their frames unless asked otherwise */
    uint8_t learns, softmax; /* targets are probabilities or classes */
    uint8_t hold; /* steps for which a frame is held where it learns, unless asked otherwise */
    vle_format input, output, target;
} vle_model;

#define VLE_FORMAT(what) {VLE_##what##_WIDTH, VLE_##what##_BYTES, (float)VLE_##what##_SCALE}
#define VLE_MODEL                                                                                 \
    {VLE_HASH,   VLE_INPUTS,  VLE_OUTPUTS, VLE_LAYERS,        VLE_ALIGNED,        VLE_LEARNS,     \
     VLE_SOFTMAX, VLE_HOLD,   VLE_FORMAT(INPUT), VLE_FORMAT(OUTPUT), VLE_FORMAT(TARGET)}

/* Words of a layer in a memory: VLE_WINDOW_... of vle_model.h. */
typedef struct {
    uint32_t address; /* of bytes */
    uint16_t rows, columns;
    uint8_t width, is_signed;
    uint8_t lane_bits;
    uint16_t pe, simd, tiles, first;
} vle_window;

/* A place in what is sent: a record, a word of it, and its flags. */
typedef struct {
    size_t record;
    uint16_t word;
    uint8_t flags;
} vle_cursor;

/* One session. Set `retry_ms` and `timeout_ms` after vle_open where the line is very slow; read the
 * counters; leave the rest alone. */
typedef struct {
    vle_port port;
    const vle_model *model;
    uint32_t retry_ms;   /* after which to ask again: more than 8 frames take on the line; 250 */
    uint32_t timeout_ms; /* of silence, or a quarter of standstill, to give up after; 3000 */
    uint32_t damaged;    /* frames that came and were dropped */
    uint32_t resent;     /* frames sent again */
    uint32_t clamped;    /* input words clamped to their format */

    uint8_t session, request, payload_max, slots_in, slots_out;
    uint8_t sent, acked, room, gap;              /* stream to the device */
    uint8_t expected, unacked, behind, asked;    /* stream to the host */
    uint8_t skip, part;                          /* of the payload that comes next */
    uint32_t partial;
    const void *job;                             /* what runs now */
    size_t frames;                               /* output frames that have come of it */
    uint16_t column;
    vle_cursor cursor, begin[VLE_IN_FLIGHT];
    uint8_t code, left, started, bad;            /* COBS */
    uint8_t sensorless;                          /* the board has no sensor: known */
    uint16_t fill, length;
    uint8_t chunk_at, chunk_end;
    uint8_t chunk[64], body[VLE_BODY_MAX], out[VLE_BODY_MAX], line[VLE_LINE_MAX];
} vle_device;

/* Begin a session with all state 0, and check that the chip is that of the model. `seed`: any number
 * that differs from time to time. */
vle_error vle_open(vle_device *device, const vle_port *port, const vle_model *model, uint32_t seed);

/* End it; not answered. A device with a sensor goes on alone. */
vle_error vle_close(vle_device *device);

#define VLE_RUN_CONTINUE 1u    /* go on where the last run stopped, not from reset */
#define VLE_RUN_ALIGNED 2u     /* begin a sequence, answer each frame with its own output */
#define VLE_RUN_NOT_ALIGNED 4u /* neither of the two: as the model says */
#define VLE_RUN_ERRORS 8u      /* targets are -dC/dr themselves */

/* A signal, what to learn from it, and where answers go. Zero what you do not use. */
typedef struct {
    size_t steps;
    unsigned options;          /* VLE_RUN_CONTINUE and so on */
    const float *x;            /* steps * inputs in real units, or */
    const int32_t *x_raw;      /* as words */
    const float *y;            /* steps * outputs, NAN in a step without a target; or */
    const int32_t *y_raw;      /* as words, or */
    const int32_t *classes;    /* steps, -1 without a target */
    const uint8_t *has_target; /* steps, of y_raw; NULL: all have */
    const uint8_t *freeze;     /* steps that update nothing; NULL: none */
    unsigned hold;             /* 0: as the model says */
    float *out;                /* steps * outputs in real units, or NULL */
    int32_t *out_raw;          /* as words, or NULL */
} vle_lesson;

/* All state 0; what was learned stays. */
vle_error vle_reset(vle_device *device);
/* Run `steps` frames of real units, from reset. Values beyond the format are clamped, counted. */
vle_error vle_run(vle_device *device, const float *x, size_t steps, float *y);
/* The same with words; VLE_ERROR_ARGUMENT for one that does not fit, before anything is sent. */
vle_error vle_run_raw(vle_device *device, const int32_t *x, size_t steps, int32_t *y);
/* Either, with options. Targets are left out: nothing is learned. */
vle_error vle_run_lesson(vle_device *device, const vle_lesson *lesson);
/* Learn while running: one update per step. */
vle_error vle_learn(vle_device *device, const vle_lesson *lesson);
/* The answers to the next `frames` frames of the sensor, while that is their source (SENSOR_CTRL);
 * meanwhile, all calls above but vle_reset are VLE_ERROR_SOURCE, and this one is when it is not. */
vle_error vle_listen(vle_device *device, size_t frames, float *y, int32_t *y_raw);

/* Registers and memories at byte addresses that go up by 4. */
vle_error vle_read(vle_device *device, uint32_t address, uint32_t *words, size_t count);
vle_error vle_write(vle_device *device, uint32_t address, const uint32_t *words, size_t count);
vle_error vle_write_word(vle_device *device, uint32_t address, uint32_t word);
/* Take no more frames and wait for the steps that have begun; and go on. */
vle_error vle_halt(vle_device *device);
vle_error vle_resume(vle_device *device);
/* All words of a window, rows * columns, while the chip is halted. */
vle_error vle_read_window(vle_device *device, const vle_window *window, int32_t *words);
vle_error vle_write_window(vle_device *device, const vle_window *window, const int32_t *words);
/* Register word of a rate: RATE[l] holds rate * VLE_RATE_FACTOR, TAU_RATE[l] rate *
 * VLE_TAU_RATE_FACTOR. 0xffffffff where none holds it. */
uint32_t vle_rate_word(double rate);

#ifdef __cplusplus
}
#endif

#endif
