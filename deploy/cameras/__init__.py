"""Real cameras: what a policy that sees is shown on a robot."""

from simreal.deploy.cameras.capture import film_images
from simreal.deploy.cameras.eyes import Eyes, open_eyes
from simreal.deploy.cameras.frames import NO_EYES, CameraError, Newest, Sees

__all__ = ["NO_EYES", "CameraError", "Eyes", "Newest", "Sees", "film_images", "open_eyes"]
