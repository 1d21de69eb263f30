"""Looks at the worlds of an experiment before anything is trained: as a page, or in MuJoCo's viewer."""
