"""Tax ids of customers and of the account: kept, and verified a moment later where a register exists.

Three values answer as in Stripe's test mode, whatever their type: 000000000 is verified, 111111111 is not, 222222222
stays pending. Source: Stripe docs, "Customer tax IDs" (validation), "Testing Stripe Billing" (tax id numbers).
"""

import re
from typing import Any

from sandbox import jobs, objects
from sandbox.context import Context
from sandbox.documents import render
from sandbox.errors import ApiError
from sandbox.kinds import Doc, kind
from sandbox.pagination import list_object, list_page, paging
from sandbox.params import Enum, Hash, Param, Shape, Str
from sandbox.routes import route

TAX_ID = kind(
    "tax_id",
    prefix="txi",
    label="tax ID",
    indexed=("customer", "_owner"),
    expandable={
        "customer": "customer",
        "owner.customer": "customer",
    },
)
TYPES = (
    "ad_nrt", "ae_trn", "al_tin", "am_tin", "ao_tin", "ar_cuit", "au_abn", "au_arn", "aw_tin", "az_tin", "ba_tin",
    "bb_tin", "bd_bin", "bf_ifu", "bg_uic", "bh_vat", "bj_ifu", "bo_tin", "br_cnpj", "br_cpf", "bs_tin", "by_tin",
    "ca_bn", "ca_gst_hst", "ca_pst_bc", "ca_pst_mb", "ca_pst_sk", "ca_qst", "cd_nif", "ch_uid", "ch_vat", "cl_tin",
    "cm_niu", "cn_tin", "co_nit", "cr_tin", "cv_nif", "de_stn", "do_rcn", "ec_ruc", "eg_tin", "es_cif", "et_tin",
    "eu_oss_vat", "eu_vat", "fo_vat", "gb_vat", "ge_vat", "gi_tin", "gn_nif", "hk_br", "hr_oib", "hu_tin", "ic_nif",
    "id_npwp", "il_vat", "in_gst", "is_vat", "it_cf", "jp_cn", "jp_rn", "jp_trn", "ke_pin", "kg_tin", "kh_tin",
    "kr_brn", "kz_bin", "la_tin", "li_uid", "li_vat", "lk_vat", "ma_vat", "md_vat", "me_pib", "mk_vat", "mr_nif",
    "mx_rfc", "my_frp", "my_itn", "my_sst", "ng_tin", "no_vat", "no_voec", "np_pan", "nz_gst", "om_vat", "pe_ruc",
    "ph_tin", "pl_nip", "py_ruc", "ro_tin", "rs_pib", "ru_inn", "ru_kpp", "sa_vat", "sg_gst", "sg_uen", "si_tin",
    "sn_ninea", "sr_fin", "sv_nit", "th_vat", "tj_tin", "tr_tin", "tw_vat", "tz_vat", "ua_vat", "ug_tin", "us_ein",
    "uy_ruc", "uz_tin", "uz_vat", "ve_rif", "vn_tin", "za_vat", "zm_tin", "zw_tin",
)  # fmt: skip
CREATE: dict[str, Param] = {"type": Enum(*TYPES, required=True), "value": Str(required=True)}
OWNER: Shape = {"customer": Str(), "type": Enum("account", "application", "customer", "self", required=True)}
REGISTERS = ("au_abn", "eu_vat", "gb_vat")
"""Types of which Stripe asks a government whether the value exists."""
ANSWERS = {"000000000": "verified", "111111111": "unverified", "222222222": "pending"}
VERIFIED_AFTER = 2
"""Seconds until the register has answered."""
SHAPES = {
    "au_abn": r"\d{11}", "br_cnpj": r"[\d./-]{14,18}", "ch_vat": r"CHE-?\d{3}.?\d{3}.?\d{3} ?(MWST|TVA|IVA)?",
    "eu_vat": r"(AT|BE|BG|CY|CZ|DE|DK|EE|EL|ES|FI|FR|HR|HU|IE|IT|LT|LU|LV|MT|NL|PL|PT|RO|SE|SI|SK|XI)[A-Z0-9+*]{2,12}",
    "gb_vat": r"(GB)?(\d{9}|\d{12}|(GD|HA)\d{3})", "jp_cn": r"\d{13}", "jp_rn": r"\d{5}", "jp_trn": r"T\d{13}",
    "us_ein": r"\d{2}-?\d{7}",
}  # fmt: skip
"""What a value of these types looks like; of others anything goes."""


@route("POST", "/v1/customers/{customer}/tax_ids", params=CREATE)
def create_customer_tax_id(ctx: Context, params: dict[str, Any], customer: str) -> Doc:
    """Give a customer a tax id"""
    objects.load(ctx, "customer", customer, param="customer", in_path=True)
    return new_tax_id(ctx, params, {"customer": customer, "type": "customer"})


def new_tax_id(ctx: Context, given: dict[str, Any], owner: Doc) -> Doc:
    """`given` is type and value. Raises tax_id_invalid for a value that cannot be one."""
    value = given["value"].strip()
    shape = SHAPES.get(given["type"])
    if shape and value not in ANSWERS and not re.fullmatch(shape, value):
        raise ApiError(f"Invalid value for {given['type']}.", code="tax_id_invalid", param="value")
    looked_up = given["type"] in REGISTERS
    customer = owner.get("customer")
    fields = {
        "country": _country(given["type"], value),
        "customer": customer,
        "customer_account": None,
        "owner": {"customer_account": None, **owner},
        "type": given["type"],
        "value": value,
        "verification": {
            "status": "pending" if looked_up else "unavailable", "verified_address": None, "verified_name": None,
        },
        "_owner": customer or owner["type"],
    }  # fmt: skip
    made = objects.create(ctx, "tax_id", fields, event="customer.tax_id.created" if customer else None)
    if looked_up:
        due = ctx.now + VERIFIED_AFTER
        jobs.schedule(ctx, "tax_id.verify", due_at=due, name=made["id"], payload={"tax_id": made["id"]})
    return made


def _country(type: str, value: str) -> str | None:
    """Two letters; those of a European number stand in front of it."""
    if type != "eu_vat":
        return type[:2].upper() if type != "eu_oss_vat" else None
    head = value[:2]
    return {"EL": "GR", "XI": "GB"}.get(head, head) if head.isalpha() else None


@jobs.job("tax_id.verify")
def verify(ctx: Context, payload: Doc) -> None:
    """The register has answered."""
    tax_id = objects.find(ctx, "tax_id", payload["tax_id"])
    if tax_id is None:
        return
    digits = re.sub(r"\D", "", tax_id["value"])
    status = ANSWERS.get(digits, "verified")
    found = {"verified_address": "1 Sandbox Street", "verified_name": "SANDBOX"} if status == "verified" else {}
    changes = {"verification": tax_id["verification"] | {"status": status} | found}
    objects.update(ctx, tax_id, changes, event="customer.tax_id.updated" if tax_id["customer"] else None)


@route("GET", "/v1/customers/{customer}/tax_ids", params=paging())
def list_customer_tax_ids(ctx: Context, params: dict[str, Any], customer: str) -> Doc:
    """List a customer's tax ids"""
    objects.load(ctx, "customer", customer, param="customer", in_path=True)
    return list_page(ctx, "tax_id", params, {"customer": customer}, url=f"/v1/customers/{customer}/tax_ids")


@route("GET", "/v1/customers/{customer}/tax_ids/{id}")
def retrieve_customer_tax_id(ctx: Context, params: dict[str, Any], customer: str, id: str) -> Doc:
    """Retrieve a customer's tax id"""
    return _of_customer(ctx, customer, id)


def _of_customer(ctx: Context, customer: str, id: str) -> Doc:
    objects.load(ctx, "customer", customer, param="customer", in_path=True)
    tax_id = objects.load(ctx, "tax_id", id, in_path=True)
    if tax_id["customer"] != customer:
        raise ApiError(f"No such tax ID: '{id}'", status=404, code="resource_missing", param="id")
    return tax_id


@route("DELETE", "/v1/customers/{customer}/tax_ids/{id}")
def delete_customer_tax_id(ctx: Context, params: dict[str, Any], customer: str, id: str) -> Doc:
    """Delete a customer's tax id"""
    return _deleted(ctx, _of_customer(ctx, customer, id))


def _deleted(ctx: Context, tax_id: Doc) -> Doc:
    jobs.cancel(ctx, "tax_id.verify", name=tax_id["id"])
    return objects.delete(ctx, tax_id, event="customer.tax_id.deleted" if tax_id["customer"] else None)


@route("POST", "/v1/tax_ids", params=CREATE | {"owner": Hash(OWNER)})
def create_tax_id(ctx: Context, params: dict[str, Any]) -> Doc:
    """Create a tax id of the account or of a customer"""
    return new_tax_id(ctx, params, _owner(ctx, params))


def _owner(ctx: Context, params: dict[str, Any]) -> Doc:
    owner: Doc = params.get("owner") or {"type": "self"}
    if owner["type"] == "customer":
        if "customer" not in owner:
            raise ApiError(
                "Missing required param: owner[customer].", code="parameter_missing", param="owner[customer]"
            )
        objects.load(ctx, "customer", owner["customer"], param="owner[customer]")
    return owner


@route("GET", "/v1/tax_ids", params=paging(owner=Hash(OWNER)))
def list_tax_ids(ctx: Context, params: dict[str, Any]) -> Doc:
    """List the tax ids of the account or of a customer"""
    owner = _owner(ctx, params)
    return list_page(ctx, "tax_id", params, {"_owner": owner.get("customer") or owner["type"]})


@route("GET", "/v1/tax_ids/{id}")
def retrieve_tax_id(ctx: Context, params: dict[str, Any], id: str) -> Doc:
    """Retrieve a tax id"""
    return objects.load(ctx, "tax_id", id, in_path=True)


@route("DELETE", "/v1/tax_ids/{id}")
def delete_tax_id(ctx: Context, params: dict[str, Any], id: str) -> Doc:
    """Delete a tax id"""
    return _deleted(ctx, objects.load(ctx, "tax_id", id, in_path=True))


def of_customer(ctx: Context, customer: str) -> Doc:
    """The list that a customer shows when it is expanded."""
    held = ctx.tx.page(ctx.scope, "tax_id", {"customer": customer}, limit=11)
    url = f"/v1/customers/{customer}/tax_ids"
    return list_object([render(one) for one in held[:10]], url=url, has_more=len(held) > 10)


def forget(ctx: Context, customer: str) -> None:
    """The customer goes, and theirs with them."""
    for tax_id in objects.query(ctx, "tax_id", customer=customer):
        _deleted(ctx, tax_id)
