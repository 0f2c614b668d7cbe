"""Protean on its memory store; its durable one needs a PostgreSQL server with Message DB.

Each commit costs more with everything that is stored, so few are made. Annotations stay values
here (no ``from __future__``): protean looks into them while the class is made.
"""

# mypy: ignore-errors
# protean makes its classes anew while they are declared, which no type checker follows.

import logging

from protean import Domain, apply
from protean.fields import Boolean, Identifier, Integer, String
from protean.utils.globals import current_domain

from benchmarks.measuring import Figures, Work, seconds

COMMITS = 200


def one_writer(work: Work) -> Figures:
    """New event-sourced aggregates, one event each, through a repository."""
    logging.disable(logging.CRITICAL)
    domain = Domain(name="orders")

    @domain.event(part_of="Customer")
    class OrderPlaced:
        id = Identifier()
        number = Integer()
        customer = String()
        dish = String()
        quantity = Integer()
        price = String()
        currency = String()
        is_paid = Boolean()
        note = String()

    @domain.aggregate(is_event_sourced=True)
    class Customer:
        number = Integer()

        @classmethod
        def place(cls, number: int) -> "Customer":
            customer = cls._create_new()
            customer.raise_(
                OrderPlaced(
                    id=str(customer.id),
                    number=number,
                    customer=f"customer-{number:03}",
                    dish="Bean Blaster Taco",
                    quantity=number % 9 + 1,
                    price="10.50",
                    currency="EUR",
                    is_paid=True,
                    note="no onions, please",
                )
            )
            return customer

        @apply
        def placed(self, event: OrderPlaced) -> None:
            self.id = event.id
            self.number = event.number

    domain.init(traverse=False)
    count = min(COMMITS, work.scale.singles)
    with domain.domain_context():
        repository = current_domain.repository_for(Customer)

        def commit_all() -> None:
            for number in range(count):
                repository.add(Customer.place(number))

        return {"rate": count / seconds(commit_all)}
