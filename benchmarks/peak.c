/* What the cores of an x86 processor with AVX-512 can multiply and add at most: fused operations on registers alone.
 *
 *     cc -O2 -pthread -mavx512f -mavx512bf16 benchmarks/peak.c -o peak && ./peak [THREADS]
 *
 * No matrix product can be faster. A fused operation counts as two: 32 in 16 floats, 64 in 32 bfloat16s.
 */
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#define ROUNDS 10000000L
#define MOST_THREADS 256

/* Sixteen independent sums: more than a processor has in flight. */
#define SIXTEEN(OP) OP(0) OP(1) OP(2) OP(3) OP(4) OP(5) OP(6) OP(7) OP(8) OP(9) OP(10) OP(11) OP(12) OP(13) OP(14) OP(15)
#define FLOAT32(N) "vfmadd231ps %%zmm30, %%zmm31, %%zmm" #N "\n\t"
#define BFLOAT16(N) "vdpbf16ps %%zmm30, %%zmm31, %%zmm" #N "\n\t"
#define CHANGED "xmm0", "xmm1", "xmm2", "xmm3", "xmm4", "xmm5", "xmm6", "xmm7", "xmm8", "xmm9", "xmm10", "xmm11", \
    "xmm12", "xmm13", "xmm14", "xmm15", "xmm30", "xmm31"

#define LOOP(NAME, OP)                                                                                        \
    static void *NAME(void *unused) {                                                                         \
        __asm__ volatile("vpxorq %%zmm30, %%zmm30, %%zmm30\n\tvpxorq %%zmm31, %%zmm31, %%zmm31" ::: CHANGED); \
        for (long round = 0; round < ROUNDS; round++) __asm__ volatile(SIXTEEN(OP)::: CHANGED);               \
        return unused;                                                                                        \
    }

LOOP(float32, FLOAT32)
LOOP(bfloat16, BFLOAT16)

static double seconds(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return now.tv_sec + now.tv_nsec * 1e-9;
}

static void measure(const char *name, void *(*loop)(void *), int operations, int threads) {
    pthread_t running[MOST_THREADS];
    double start = seconds();
    for (int i = 0; i < threads; i++) pthread_create(&running[i], NULL, loop, NULL);
    for (int i = 0; i < threads; i++) pthread_join(running[i], NULL);
    double done = (double)ROUNDS * 16 * operations * threads;
    printf("%-8s  %d threads  %.0f GFLOP/s\n", name, threads, done / (seconds() - start) * 1e-9);
}

int main(int count, char **arguments) {
    int threads = count > 1 ? atoi(arguments[1]) : 1;
    if (threads < 1 || threads > MOST_THREADS) {
        fprintf(stderr, "THREADS is a number from 1 to %d\n", MOST_THREADS);
        return 2;
    }
    measure("float32", float32, 32, threads);
    measure("bfloat16", bfloat16, 64, threads);
    return 0;
}
