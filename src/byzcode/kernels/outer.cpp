// Coded sums of the gradients of a linear layer: outer.py.

#include "layer.h"

// Bytes of the second-level cache for the sums of all devices.
constexpr int64_t CACHE = 640 << 10;

// Who holds each subset, with which weight.
struct Held {
  int64_t *first;  // of each subset, and the end
  int64_t *device;
  float *weight;
};

INLINE void invert(const Held &held, const int64_t *assigned, const float *weight, const int64_t *devices,
                   const int64_t *names, int64_t subsets, int64_t messages, int64_t slots) {
  std::fill(held.first, held.first + subsets + 1, 0);
  for (int turn = 0; turn < 2; turn++) {
    for (int64_t i = messages - 1; i >= 0; i--)
      for (int64_t slot = slots - 1; slot >= 0; slot--) {
        const int64_t from = (devices ? devices[i] : i) * slots + slot;
        const int64_t subset = names ? names[assigned[from]] : assigned[from];
        if (turn == 0) {
          held.first[subset]++;
        } else {
          const int64_t place = --held.first[subset];
          held.device[place] = i;
          held.weight[place] = weight[from];
        }
      }
    if (turn == 0)
      for (int64_t k = 1; k <= subsets; k++) held.first[k] += held.first[k - 1];
  }
}

INLINE void coded(const Layer &layer, const Held &held, float *out, int64_t messages, int64_t stride, int64_t rows,
                  Aligned *made, Aligned *total) {
  each_part(layer, rows, [&](const Part &part) INLINE_LAMBDA {
    const int64_t size = part.rows * part.vectors;
    std::fill(total, total + messages * size, Aligned{});
    each_subset(layer, part, made, [&](int64_t subset) INLINE_LAMBDA {
      for (int64_t each = held.first[subset]; each < held.first[subset + 1]; each++) {
        Aligned *to = total + held.device[each] * size;
        const float weight = held.weight[each];
        for (int64_t k = 0; k < size; k++) to[k] += weight * made[k];
      }
    });
    for (int64_t i = 0; i < messages; i++)
      for (int64_t row = 0; row < part.rows; row++)
        for (int64_t k = 0; k < part.vectors; k++)
          *(Loose *)(out + i * stride + (part.row + row) * layer.inputs + part.at(k)) =
              total[i * size + row * part.vectors + k];
  });
}

extern "C" {
// left (R, K, o), right (R, K, i), sizes (R, M), assigned and weight (R, N, S), devices (R, N), names (R, M); out (R, N, .)
// has `stride` numbers a message, of which these are o i
EACH_PROCESSOR void outer_float32(const float *left, const float *right, const int64_t *sizes, const int64_t *assigned,
                                  const float *weight, const int64_t *devices, const int64_t *names, float *out,
                                  int64_t runs, int64_t subsets, int64_t outputs, int64_t inputs, int64_t messages,
                                  int64_t slots, int64_t stride) {
  const int64_t fit = CACHE / (messages * WIDEST * (int64_t)sizeof(Aligned));
  const int64_t rows = std::min(outputs, std::max(ROWS, fit / ROWS * ROWS)), part = rows * WIDEST;
  Aligned *made = (Aligned *)std::aligned_alloc(64, part * sizeof(Aligned));
  Aligned *total = (Aligned *)std::aligned_alloc(64, messages * part * sizeof(Aligned));
  const Held held{(int64_t *)std::malloc((subsets + 1) * sizeof(int64_t)),
                  (int64_t *)std::malloc((messages * slots + 1) * sizeof(int64_t)),
                  (float *)std::malloc((messages * slots + 1) * sizeof(float))};
  Layer layer{left, right, sizes, subsets, outputs, inputs};
  for (int64_t run = 0; run < runs; run++, layer = layer.next()) {
    invert(held, assigned + run * messages * slots, weight + run * messages * slots,
           devices ? devices + run * messages : nullptr, names ? names + run * subsets : nullptr, subsets, messages,
           slots);
    coded(layer, held, out + run * messages * stride, messages, stride, rows, made, total);
  }
  for (void *each : {(void *)made, (void *)total, (void *)held.first, (void *)held.device, (void *)held.weight})
    std::free(each);
}
}
