"""A dish was prepared."""

from dolittle import event_type


@event_type
class DishPrepared:
    dish: str
    chef: str
