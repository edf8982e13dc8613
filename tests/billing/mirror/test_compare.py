"""The mirror's object beside Stripe's."""

from billing.mirror.compare import differences


def test_a_copy_of_another_object_is_compared_by_its_id_alone():
    """Stripe tells nobody that the price shown in a subscription was withdrawn: the price's own row knows it."""

    def holding(**price):
        return {"items": {"data": [{"price": {"object": "price", "id": "price_1", "active": True, **price}}]}}

    assert differences("subscription", holding(), holding(active=False)) == []
    [other] = differences("subscription", holding(), holding(id="price_2"))
    assert other.path == "items.data[0].price.id"
