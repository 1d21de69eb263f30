"""Running a policy on a robot: the loop, what watches over it, drivers and emulators.

Nothing in here but `emulators` imports a simulator or a training library.
"""
