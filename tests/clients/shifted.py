"""shifted.py IN OUT: spectral convolutions by the lines of a released library: spectra are
shifted so that 0 is in the middle, weighted, and shifted once more, where the inverse shift
belongs."""
import json, sys
import numpy as np

with open(sys.argv[1][:-4] + ".json") as f:
    case = json.load(f)
if case["group"] != "convolutions" or case["params"]["want"] != "convolution": sys.exit(77)
with np.load(sys.argv[1]) as f:
    x, w = f["x"].astype(float), f["w"].astype(float)
w = w[..., 0] + 1j * w[..., 1]
n, modes = case["params"]["n"], w.shape[:-2]
axes = tuple(range(len(n)))
spectrum = np.fft.fftshift(np.fft.rfftn(x, axes=axes), axes=axes[:-1])
middle = []
for size, m in zip(spectrum.shape[:-2], modes[:-1]):
    first = size // 2 - m // 2
    middle.append(slice(first, first + m))
middle = tuple(middle) + (slice(0, modes[-1]),)
out = np.zeros(spectrum.shape[:-1] + w.shape[-1:], complex)
out[middle] = np.einsum("...i,...io->...o", spectrum[middle], w)
out = np.fft.fftshift(out, axes=axes[:-1])
np.savez(sys.argv[2], y=np.fft.irfftn(out, n, axes=axes))
