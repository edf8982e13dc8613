"""Products."""

from typing import Any

from sandbox import objects
from sandbox.context import Context
from sandbox.documents import merge_metadata
from sandbox.errors import ApiError
from sandbox.kinds import Doc, kind
from sandbox.pagination import list_page, listing
from sandbox.params import Array, Bool, Dec, Enum, Hash, Ignored, Metadata, Param, Shape, Str
from sandbox.resources.prices import DEFAULT_PRICE, new_price
from sandbox.routes import route

PRODUCT = kind(
    "product",
    prefix="prod",
    random_length=14,
    indexed=("active", "id", "shippable", "type", "url"),
    expandable={"default_price": "price", "tax_code": "tax_code"},
)
DIMENSIONS: Shape = {name: Dec(required=True) for name in ("height", "length", "weight", "width")}
COMMON: dict[str, Param] = {
    "active": Bool(),
    "description": Str(unset=True, max_length=40_000),
    "images": Array(Str(), unset=True),
    "marketing_features": Array(Hash({"name": Str(required=True)}), unset=True),
    "metadata": Metadata(),
    "package_dimensions": Hash(DIMENSIONS, unset=True),
    "shippable": Bool(),
    "statement_descriptor": Str(unset=True, max_length=22),
    "tax_code": Str(unset=True),
    "unit_label": Str(unset=True, max_length=12),
    "url": Str(unset=True),
}
CREATE = COMMON | {
    "id": Str(),
    "name": Str(required=True),
    "type": Enum("good", "service"),
    "default_price_data": Hash(DEFAULT_PRICE),
    "tax_details": Ignored(),
}
UPDATE = COMMON | {"name": Str(), "default_price": Str(unset=True)}
FILTERS: dict[str, Param] = {
    "active": Bool(),
    "ids": Array(Str()),
    "shippable": Bool(),
    "type": Enum("good", "service"),
    "url": Str(),
}


@route("POST", "/v1/products", params=CREATE)
def create_product(ctx: Context, params: dict[str, Any]) -> Doc:
    """Create a product"""
    price = params.pop("default_price_data", None)
    new = _new_fields(ctx)
    product = objects.create(ctx, "product", new | _changes(new, params), event="product.created")
    if price is None:
        return product
    default = new_price(ctx, price | {"product": product["id"]})
    return objects.update(ctx, product, {"default_price": default["id"]}, event="product.updated")


def _new_fields(ctx: Context) -> Doc:
    nothing = dict.fromkeys(
        ("default_price", "description", "package_dimensions", "shippable", "statement_descriptor", "tax_code",
         "unit_label", "url")
    )  # fmt: skip
    return nothing | {
        "active": True,
        "images": [],
        "marketing_features": [],
        "metadata": {},
        "type": "service",
        "updated": ctx.now,
    }


def _changes(product: Doc, params: dict[str, Any]) -> Doc:
    changes = {name: value for name, value in params.items() if name != "tax_details"}
    for name in ("images", "marketing_features"):
        if name in changes and changes[name] is None:
            changes[name] = []
    if changes.get("package_dimensions"):
        changes["package_dimensions"] = {name: float(value) for name, value in changes["package_dimensions"].items()}
    if "metadata" in changes:
        changes["metadata"] = merge_metadata(product["metadata"], changes["metadata"])
    return changes


@route("GET", "/v1/products", params=listing(**FILTERS))
def list_products(ctx: Context, params: dict[str, Any]) -> Doc:
    """List products"""
    filters = {name: params.get(name) for name in FILTERS if name != "ids"}
    return list_page(ctx, "product", params, filters | {"id": params.get("ids")})


@route("GET", "/v1/products/{id}")
def retrieve_product(ctx: Context, params: dict[str, Any], id: str) -> Doc:
    """Retrieve a product"""
    return objects.load(ctx, "product", id, in_path=True)


@route("POST", "/v1/products/{id}", params=UPDATE)
def update_product(ctx: Context, params: dict[str, Any], id: str) -> Doc:
    """Update a product"""
    product = objects.load(ctx, "product", id, in_path=True)
    if params.get("default_price"):
        price = objects.load(ctx, "price", params["default_price"], param="default_price")
        if price["product"] != id:
            raise ApiError(
                f"The price specified is not attached to the product {id}: {price['id']}.",
                param="default_price",
            )
    changes = _changes(product, params)
    if any(product.get(name) != value for name, value in changes.items()):
        changes["updated"] = ctx.now
    return objects.update(ctx, product, changes, event="product.updated")


@route("DELETE", "/v1/products/{id}")
def delete_product(ctx: Context, params: dict[str, Any], id: str) -> Doc:
    """Delete a product that has no prices"""
    product = objects.load(ctx, "product", id, in_path=True)
    if ctx.tx.count(ctx.scope, "price", {"product": id}):
        raise ApiError("This product cannot be deleted because it has one or more user-created prices.", param="id")
    return objects.delete(ctx, product, event="product.deleted")
