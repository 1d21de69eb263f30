"""Parameters of what a camera sees: lights, colours and textures, the camera, its image, distractors.

What all simulations share cannot be drawn for each: the head light, the sky, fog, and the pixels of
textures. A light that is moved or recoloured stands in for the first, `distractors.add_backdrop` for
the second.
"""

import math

import mujoco

from simreal.randomization.parameters.parameter import ArrayParameter, Parameter
from simreal.randomization.parameters.visual_kinds import (
    XYZ,
    Factor,
    FieldOfView,
    Switch,
    Texture,
    Turn,
    TurnAboutItself,
)

RGB = ("red", "green", "blue")

LIGHTS: tuple[Parameter, ...] = (
    Switch(
        name="light_active",
        unit="1",
        description="whether a light is on: 0 or 1; their number, if it is drawn for several",
        operation="absolute",
        fields=("light_active",),
        part="light",
        upper=1.0,
    ),
    ArrayParameter(
        name="light_position",
        unit="m",
        description="position of a light along an axis of the body that carries it",
        operation="add",
        fields=("light_pos",),
        part="light",
        axes=XYZ,
        lower=None,
    ),
    Turn(
        name="light_rotation",
        unit="rad",
        description="rotation of a light's direction about an axis of the body that carries it",
        operation="absolute",
        fields=("light_dir",),
        part="turning_light",
        lower=-math.pi,
        upper=math.pi,
    ),
    Factor(
        name="light_brightness",
        unit="1",
        description="diffuse, ambient and specular light together",
        operation="scale",
        fields=("light_diffuse", "light_ambient", "light_specular"),
        part="light",
    ),
    ArrayParameter(
        name="light_diffuse",
        unit="1",
        description="light that surfaces scatter, of a colour",
        operation="absolute",
        fields=("light_diffuse",),
        part="light",
        axes=RGB,
    ),
    ArrayParameter(
        name="light_ambient",
        unit="1",
        description="light from everywhere that comes with a light, of a colour",
        operation="absolute",
        fields=("light_ambient",),
        part="light",
        axes=RGB,
    ),
    ArrayParameter(
        name="light_specular",
        unit="1",
        description="light that surfaces mirror, of a colour",
        operation="absolute",
        fields=("light_specular",),
        part="light",
        axes=RGB,
    ),
    Switch(
        name="light_shadow",
        unit="1",
        description="whether a light casts shadows: 0 or 1",
        operation="absolute",
        fields=("light_castshadow",),
        part="light",
        upper=1.0,
    ),
)

SURFACES: tuple[Parameter, ...] = (
    ArrayParameter(
        name="geom_colour",
        unit="1",
        description="a colour of a geom that has one of its own and not its material's",
        operation="absolute",
        fields=("geom_rgba",),
        part="coloured_geom",
        axes=RGB,
        upper=1.0,
    ),
    ArrayParameter(
        name="site_colour",
        unit="1",
        description="a colour of a site that has one of its own and not its material's",
        operation="absolute",
        fields=("site_rgba",),
        part="coloured_site",
        axes=RGB,
        upper=1.0,
    ),
    ArrayParameter(
        name="material_colour",
        unit="1",
        description="a colour of a material; a factor on that of its texture",
        operation="absolute",
        fields=("mat_rgba",),
        part="material",
        axes=RGB,
        upper=1.0,
    ),
    Texture(
        name="material_texture",
        unit="1",
        description="which of the model's textures a material has, from 0; -1 for none",
        operation="absolute",
        fields=("mat_texid",),
        part="material",
        component=int(mujoco.mjtTextureRole.mjTEXROLE_RGB),
        lower=-1.0,
    ),
    ArrayParameter(
        name="material_texture_repeat",
        unit="1",
        description="how often a material repeats its texture, over a shape or over 2 m",
        operation="scale",
        fields=("mat_texrepeat",),
        part="material",
        axes=("along", "across"),
    ),
    ArrayParameter(
        name="material_reflectance",
        unit="1",
        description="how much a material mirrors; acts on planes and boxes",
        operation="absolute",
        fields=("mat_reflectance",),
        part="material",
        upper=1.0,
    ),
    ArrayParameter(
        name="material_shininess",
        unit="1",
        description="how small the highlights of a material are",
        operation="absolute",
        fields=("mat_shininess",),
        part="material",
        upper=1.0,
    ),
    ArrayParameter(
        name="material_specular",
        unit="1",
        description="how bright the highlights of a material are",
        operation="absolute",
        fields=("mat_specular",),
        part="material",
        upper=1.0,
    ),
)

CAMERAS: tuple[Parameter, ...] = (
    ArrayParameter(
        name="camera_position",
        unit="m",
        description="position of a camera along an axis of the body that carries it",
        operation="add",
        fields=("cam_pos",),
        part="camera",
        axes=XYZ,
        lower=None,
    ),
    TurnAboutItself(
        name="camera_rotation",
        unit="rad",
        description="rotation of a camera about its own axes: x right, y up, z back",
        operation="absolute",
        fields=("cam_quat",),
        part="turning_camera",
        lower=-math.pi,
        upper=math.pi,
    ),
    FieldOfView(
        name="camera_field_of_view",
        unit="rad",
        description="vertical angle that a camera sees",
        operation="scale",
        fields=("cam_fovy", "cam_intrinsic"),
        lower=math.radians(1.0),
        upper=math.radians(179.0),
    ),
)

IMAGES: tuple[Parameter, ...] = (
    ArrayParameter(
        name="camera_latency_ms",
        unit="ms",
        description="delay of cameras' frames, on top of each camera's own",
        operation="absolute",
        fields=("camera.latency",),
        part="robot",
        unit_in_field=1e3,
    ),
    ArrayParameter(
        name="image_exposure",
        unit="1",
        description="factor on the brightness of an image",
        operation="scale",
        fields=("camera.exposure",),
        part="robot",
    ),
    ArrayParameter(
        name="image_noise",
        unit="1/255",
        description="standard deviation of white noise of each pixel, in grey levels",
        operation="absolute",
        fields=("camera.noise",),
        part="robot",
        upper=255.0,
    ),
    ArrayParameter(
        name="image_blur",
        unit="px",
        description="standard deviation of a Gaussian blur",
        operation="absolute",
        fields=("camera.blur",),
        part="robot",
    ),
    ArrayParameter(
        name="image_jpeg_quality",
        unit="1",
        description="JPEG quality of a camera's frames, 1 to 99; 100 does not compress",
        operation="absolute",
        fields=("camera.jpeg_quality",),
        part="robot",
        lower=1.0,
        upper=100.0,
    ),
)

DISTRACTORS: tuple[Parameter, ...] = (
    ArrayParameter(
        name="distractor_position",
        unit="m",
        description="position of a distractor along an axis of the world",
        operation="add",
        fields=("geom_pos",),
        part="distractor",
        axes=XYZ,
        lower=None,
    ),
    Factor(
        name="distractor_size",
        unit="1",
        description="size of a distractor",
        operation="scale",
        fields=("geom_size",),
        part="distractor",
        lower=0.01,
    ),
    Switch(
        name="distractor_shown",
        unit="1",
        description="whether a distractor is there to be seen: 0 or 1",
        operation="absolute",
        fields=("geom_rgba",),
        part="distractor",
        component=3,
        upper=1.0,
    ),
)

VISUALS = (*LIGHTS, *SURFACES, *CAMERAS, *IMAGES, *DISTRACTORS)
