"""What a subclass of Estimator may define."""


def refuse_overrides(kind: type, base: type, may_override: set[str]) -> None:
    """As in TensorFlow, a subclass may add members but not redefine those of its base.

    Args:
        kind: the subclass.
        base: whose members, private ones included, must stay as they are.
        may_override: the exceptions.

    Raises:
        ValueError: a class between the two redefines one.
    """
    own = {name for name in vars(base) if not name.startswith("__")} - may_override
    for parent in kind.__mro__[: kind.__mro__.index(base)]:
        redefined = sorted(own & set(vars(parent)))
        if redefined:
            raise ValueError(
                f"{parent.__name__} redefines {', '.join(redefined)} of {base.__name__}; add new names instead"
            )
