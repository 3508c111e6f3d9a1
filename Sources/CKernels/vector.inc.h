#include "each_activation.h"

/* Vectors of WIDTH floats and the element-wise functions on them. */
typedef float vec __attribute__((ext_vector_type(WIDTH)));
typedef int32_t ivec __attribute__((ext_vector_type(WIDTH)));

#define INLINE static inline __attribute__((always_inline))
#define UNROLL _Pragma("clang loop unroll(full)")

INLINE vec load(const float *from) {
  vec v;
  memcpy(&v, from, sizeof v);
  return v;
}

INLINE void store(float *to, vec v) { memcpy(to, &v, sizeof v); }

/* A NaN passes. */
INLINE vec clamp(vec x, float low, float high) {
  x = x < low ? (vec)low : x;
  return x > high ? (vec)high : x;
}

/* A NaN on either side is the larger. */
INLINE vec larger(vec a, vec b) {
  const vec most = a <= b ? b : a;
  return b != b ? b : most;
}

INLINE vec magnitude(vec x) { return (vec)((ivec)x & 0x7FFFFFFF); }

/* e^x for x in -87...88: a power of 2 and a polynomial for the rest, between them where a table is at hand a root of 2. */
#if WIDTH == 16
/* 2^(i/16) */
static const float roots[16] = {
    1.0f, 1.04427378f, 1.09050773f, 1.13878863f, 1.18920712f, 1.24185781f, 1.29683955f, 1.35425555f,
    1.41421356f, 1.47682615f, 1.54221083f, 1.61049033f, 1.68179283f, 1.75625216f, 1.83400809f, 1.91520656f};

INLINE vec bounded_exponential(vec x) {
  const vec shifted = x * 1.44269504f + 786432.0f; /* the sixteenth nearest to x / ln 2; its fraction in the low bits */
  const vec n = shifted - 786432.0f;
  const vec r = x - n * 0.693147181f;
  const vec root = _mm512_permutexvar_ps((__m512i)shifted, load(roots));
  const vec p = (r * 0.166666667f + 0.5f) * r + 1;
  return _mm512_scalef_ps((root * r) * p + root, n);
}

INLINE vec reciprocal(vec x) {
  const vec near = _mm512_rcp14_ps(x);
  return near * (1 - x * near) + near;
}
#elif WIDTH == 8
/* 2^(i/8) */
static const float roots[8] = {
    1.0f, 1.09050773f, 1.18920712f, 1.29683955f, 1.41421356f, 1.54221083f, 1.68179283f, 1.83400809f};

INLINE vec bounded_exponential(vec x) {
  const vec shifted = x * 1.44269504f + 1572864.0f; /* the eighth nearest to x / ln 2; its fraction in the low bits */
  const vec n = shifted - 1572864.0f;
  const vec r = x - n * 0.693147181f;
  const vec root = _mm256_permutevar8x32_ps(load(roots), (__m256i)shifted);
  const vec p = ((r * 0.0416666667f + 0.166666667f) * r + 0.5f) * r + 1;
  const vec result = (root * r) * p + root;
  return (vec)((ivec)result + ((ivec)shifted >> 3 << 23));
}

INLINE vec reciprocal(vec x) {
  const vec near = _mm256_rcp_ps(x);
  return near * (1 - x * near) + near;
}
#else
INLINE vec bounded_exponential(vec x) {
  const vec shifted = x * 1.44269504f + 12582912.0f; /* the integer n nearest to x / ln 2, in the low bits */
  const vec n = shifted - 12582912.0f;
  const vec r = (x - n * 0.693359375f) + n * 2.12194440e-4f;
  vec p = 1.9875691500e-4f;
  p = p * r + 1.3981999507e-3f;
  p = p * r + 8.3334519073e-3f;
  p = p * r + 4.1665795894e-2f;
  p = p * r + 1.6666665459e-1f;
  p = p * r + 5.0000001201e-1f;
  p = p * (r * r) + r + 1;
  return p * (vec)(((ivec)shifted + 127) << 23);
}

INLINE vec reciprocal(vec x) { return 1 / x; }
#endif

/* e^x; 0 or infinity outside -87...88. The activations made of it are within 4e-7 of the exact value, relatively. */
INLINE vec exponential(vec x) {
  const vec result = bounded_exponential(clamp(x, -87, 88));
  return x > 88 ? (vec)INFINITY : x < -87 ? (vec)0 : result;
}

INLINE vec sigmoid(vec x) { return reciprocal(1 + bounded_exponential(-clamp(x, -88, 87))); }

/* A polynomial near 0, where the quotient would lose digits. */
INLINE vec tangent(vec x) {
  const vec z = x * x;
  vec p = -5.70498872745e-3f;
  p = p * z + 2.06390887954e-2f;
  p = p * z - 5.37397155531e-2f;
  p = p * z + 1.33314422036e-1f;
  p = p * z - 3.33332819422e-1f;
  const vec near = p * z * x + x;
  const vec far = 1 - 2 / (1 + exponential(2 * magnitude(x)));
  const vec signedFar = (vec)((ivec)far | ((ivec)x & (int32_t)0x80000000));
  return magnitude(x) < 0.625f ? near : signedFar;
}

INLINE vec apply(vec x, int32_t activation) {
  switch (activation) {
    case ckernels_relu: return x < 0 ? (vec)0 : x;
    case ckernels_relu6: return clamp(x, 0, 6);
    case ckernels_silu: return x * sigmoid(x);
    case ckernels_hard_swish: return x * clamp(x + 3, 0, 6) * (1.0f / 6);
    case ckernels_hard_sigmoid: return clamp(x + 3, 0, 6) * (1.0f / 6);
    case ckernels_sigmoid: return sigmoid(x);
    case ckernels_tanh: return tangent(x);
    default: return x;
  }
}

/* The bounds that none, relu and relu6 are; the others need a pass of their own. */
INLINE int is_clamp(int32_t activation) { return activation <= ckernels_relu6; }
INLINE float lower_bound(int32_t activation) {
  return activation == ckernels_relu || activation == ckernels_relu6 ? 0 : -INFINITY;
}
INLINE float upper_bound(int32_t activation) { return activation == ckernels_relu6 ? 6 : INFINITY; }

/* In place over rows × channels; for what the kernel before left in the nearest cache. */
static void activate(float *x, size_t stride, size_t rows, size_t channels, int32_t activation) {
#define LOOP(f) \
  for (size_t r = 0; r < rows; r++) \
    for (size_t c = 0; c < channels; c += WIDTH) store(x + r * stride + c, apply(load(x + r * stride + c), f))
  EACH_ACTIVATION(activation, LOOP)
#undef LOOP
}
