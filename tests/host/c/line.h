/* A port over two file descriptors, as a program on Linux would have it. */
#ifndef LINE_H
#define LINE_H

#include <poll.h>
#include <time.h>
#include <unistd.h>

#include "vle.h"

typedef struct {
    int in, out;
} line;

static int line_write(void *user, const uint8_t *bytes, size_t count) {
    while (count) {
        const ssize_t done = write(((line *)user)->out, bytes, count);
        if (done <= 0) return -1;
        bytes += done;
        count -= (size_t)done;
    }
    return 0;
}

static int line_read(void *user, uint8_t *bytes, size_t count) {
    struct pollfd in = {((line *)user)->in, POLLIN, 0};
    if (poll(&in, 1, 20) <= 0) return 0;
    const ssize_t got = read(in.fd, bytes, count);
    return got > 0 ? (int)got : -1;
}

static uint32_t line_millis(void *user) {
    struct timespec now;
    (void)user;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint32_t)((uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000);
}

#endif
