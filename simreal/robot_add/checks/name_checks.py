"""Parts without a name: a policy knows joints and actuators by theirs, and so does a randomization."""

from collections.abc import Iterator

from simreal.lint.finding import Finding
from simreal.robot_add.posture import simple_joints
from simreal.robot_add.subject import Subject


def check_names(subject: Subject) -> Iterator[Finding]:
    """Unnamed joints, actuators and bodies, and joints of kinds that no policy commands."""
    model = subject.model
    if not simple_joints(model):
        mend = "a robot needs a hinge or a slide: is this a scene, or an object?"
        yield Finding("error", "joint", str(subject.file.path), "no joint that turns or slides", mend)
    unnamed = {
        "joint": [joint for joint in simple_joints(model) if not model.joint(joint).name],
        "actuator": [index for index in range(model.nu) if not model.actuator(index).name],
        "body": [body for body in range(1, model.nbody) if not model.body(body).name],
    }
    for kind, indices in unnamed.items():
        if indices:
            labels = ", ".join(subject.label(kind, index) for index in indices)
            mend = "give names by which you know them; the copy has names made from their places"
            where = subject.where(kind, indices[0])
            yield Finding("warning", "name", where, f"without a name: {labels}", mend)
