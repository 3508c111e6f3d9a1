"""The numbers that scripts and tests of training both draw: SplitMix64 over a counter."""
import math

import numpy


def mixed(seed, count):
    with numpy.errstate(over="ignore"):
        z = numpy.uint64(seed) + (numpy.arange(count, dtype=numpy.uint64) + numpy.uint64(1)) * numpy.uint64(
            0x9E3779B97F4A7C15)
        z = (z ^ (z >> numpy.uint64(30))) * numpy.uint64(0xBF58476D1CE4E5B9)
        z = (z ^ (z >> numpy.uint64(27))) * numpy.uint64(0x94D049BB133111EB)
        return z ^ (z >> numpy.uint64(31))


def counted(seed, *shape):
    """From -1 to 1, in double precision."""
    return ((mixed(seed, math.prod(shape)) >> numpy.uint64(40)).astype(numpy.float64) / 2.0**23 - 1).reshape(shape)


def counted_bytes(seed, *shape):
    return (mixed(seed, math.prod(shape)) >> numpy.uint64(56)).astype(numpy.uint8).reshape(shape)
