"""What a real camera does to an image: blur, exposure, noise, compression.

Whoever renders for a policy applies it; a world without cameras never does.
"""

import numpy as np
from numpy.typing import NDArray
from scipy.fft import dctn, idctn

from simreal.episode_random import EpisodeRandom
from simreal.randomization.quantities import Quantities
from simreal.state import FloatArray, Ids

Images = NDArray[np.uint8]
Pixels = NDArray[np.float32]

UNCOMPRESSED = 100.0
"""The quality of JPEG that leaves an image as it is."""


class CameraEffects:
    """The cameras of `count` simulations; those of one simulation are alike.

    Attributes:
        quantities: per simulation, written by randomization at each reset:
            ``exposure`` (count, 1) factor on the pixels, which hold what the renderer gives: a factor
            on light only in so far as pixels are proportional to light.
            ``noise`` (count, 1) grey levels (of 255), standard deviation of white noise on each channel
            of each pixel of each image.
            ``blur`` (count, 1) pixels, standard deviation of a Gaussian.
            ``jpeg_quality`` (count, 1) from 1 to 100, as libjpeg counts it, in whole numbers; 100 does
            not compress.
            ``latency`` (count, 1) s, from when a frame is taken until it can be seen.
    """

    def __init__(self, count: int) -> None:
        """Make perfect cameras."""
        self.quantities = Quantities(
            count,
            {
                "exposure": np.ones(1),
                "noise": np.zeros(1),
                "blur": np.zeros(1),
                "jpeg_quality": np.full(1, UNCOMPRESSED),
                "latency": np.zeros(1),
            },
        )

    def take(self, ids: Ids, source: "CameraEffects", rows: Ids) -> None:
        """Go on in some simulations as others would."""
        self.quantities.take(ids, source.quantities, rows)

    def apply(
        self,
        images: Images,
        random: EpisodeRandom,
        step: NDArray[np.integer] | int,
        camera: str = "camera",
        ids: Ids | None = None,
        frame: tuple[int, int] | None = None,
    ) -> Images:
        """Turn images as rendered into images as taken, in the order in which light meets the parts.

        Args:
            images: (n, height, width, 3), one of each simulation.
            random: of their episodes, for the noise.
            step: (n,) or one number, of the image in its episode.
            camera: name, so that two cameras have noise of their own.
            ids: (n,) the simulations; all if absent.
            frame: rows and columns that the camera takes and compresses, of which the images are what is
                left of its middle; those of the images if absent.

        Returns:
            Images of the same shape; the very same where nothing is randomized.
        """
        blur, exposure = self._row_values("blur", ids), self._row_values("exposure", ids)
        noise, quality = self._row_values("noise", ids), self._row_values("jpeg_quality", ids)
        if blur is not None or exposure is not None or noise is not None:
            pixels: Pixels = images.astype(np.float32)
            if blur is not None:
                pixels = blurred(pixels, blur)
            if exposure is not None:
                pixels = exposed(pixels, exposure)
            if noise is not None:
                pixels = noisy(pixels, noise, random, step, camera)
            images = quantized(pixels)
        if quality is None:
            return images
        from simreal.randomization.jpeg import compressed  # compiled: a robot's computer has no numba

        return compressed(images, quality, frame or (images.shape[1], images.shape[2]))

    @property
    def latency(self) -> FloatArray:
        """(count,) s that randomization adds."""
        return self.quantities["latency"][:, 0]

    def _row_values(self, name: str, ids: Ids | None) -> FloatArray | None:
        """(n,) values of a quantity that somebody randomizes."""
        values = self.quantities.get(name)
        if values is None:
            return None
        return values[:, 0] if ids is None else values[ids, 0]


def exposed(images: Pixels, factor: FloatArray) -> Pixels:
    """Multiply (n, height, width, channels) images by (n,) factors; nothing saturates yet."""
    return images * _per_image(factor)


def noisy(
    images: Pixels,
    deviation: FloatArray,
    random: EpisodeRandom,
    step: NDArray[np.integer] | int,
    camera: str,
) -> Pixels:
    """Add white noise of (n,) standard deviations to (n, height, width, channels) images."""
    drawn = random.normal(f"{camera}/noise", images[0].size, step)
    return images + drawn.reshape(images.shape).astype(np.float32) * _per_image(deviation)


def blurred(images: Pixels, deviation: FloatArray) -> Pixels:
    """Blur (n, height, width, channels) images by Gaussians of (n,) standard deviations in pixels.

    The Gaussian of a grid (T. Lindeberg, Scale-space for discrete signals, IEEE PAMI 12(3), 1990): none
    of its weights is negative, and its variance is exact for narrow ones, too. Cosines are its
    eigenfunctions in an image that goes on as its mirror image, so that the mean stays.
    """
    rows, columns = (_passed(images.shape[axis], deviation) for axis in (1, 2))
    waves = dctn(images, axes=(1, 2))
    waves *= rows[:, :, None, None] * columns[:, None, :, None]
    result: Pixels = idctn(waves, axes=(1, 2))
    return result


def _passed(size: int, deviation: FloatArray) -> Pixels:
    """(n, size) what a blur leaves of each cosine along a line of pixels."""
    frequency = np.pi / size * np.arange(size)
    passed: FloatArray = np.exp(-np.square(deviation)[:, None] * (1.0 - np.cos(frequency)))
    return passed.astype(np.float32)


def quantized(images: Pixels) -> Images:
    """Round to whole grey levels from 0 to 255."""
    return np.rint(np.clip(images, 0.0, 255.0)).astype(np.uint8)


def _per_image(values: FloatArray) -> Pixels:
    return values.astype(np.float32)[:, None, None, None]
