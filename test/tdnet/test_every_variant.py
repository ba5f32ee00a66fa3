"""Every variant passes the same tests; docs/variants.md shows how to add one."""

from __future__ import annotations

from dataclasses import replace

from support.variant_suite import DescriptionSuite, VariantSuite, few_channels

from tdnet.variants import Variant, get_variant, list_variants


class TestTd4Psp18(VariantSuite):
    variant = get_variant("td4-psp18")


class TestTd2Psp50(VariantSuite):
    variant = get_variant("td2-psp50")


class TestTd2Fa18(VariantSuite):
    variant = get_variant("td2-fa18")


class TestTd4Bise18(VariantSuite):
    variant = get_variant("td4-bise18")


class TestTd4Psp34(VariantSuite):
    variant = get_variant("td4-psp34")


class TestTd4Psp18Nano(VariantSuite):
    variant = get_variant("td4-psp18-nano")


class TestPsp18(VariantSuite):
    variant = get_variant("psp18")


class TestPsp34(VariantSuite):
    variant = get_variant("psp34")


class TestPsp50(VariantSuite):
    variant = get_variant("psp50")


class TestPsp101(VariantSuite):
    variant = get_variant("psp101")


class TestFa18(VariantSuite):
    variant = get_variant("fa18")


class TestBise18(VariantSuite):
    variant = get_variant("bise18")


class TestPsp18Nano(DescriptionSuite):
    variant = get_variant("psp18-nano")


class TestPsp18Half(DescriptionSuite):
    variant = get_variant("psp18-half")


def test_no_variant_is_left_out() -> None:
    here = {name: item for name, item in globals().items() if name.startswith("Test")}
    assert {item.variant.name for item in here.values()} == set(list_variants())
    assert all(
        name == f"Test{item.variant.name.title().replace('-', '')}" for name, item in here.items()
    )
    computed = {layers(item.variant) for item in here.values() if issubclass(item, VariantSuite)}
    assert computed == {layers(item.variant) for item in here.values()}


def layers(variant: Variant) -> Variant:
    """Return what `VariantSuite` computes with."""
    return replace(few_channels(variant), name="", description="", input_size=(0, 0))


class TestEvitB0(VariantSuite):
    variant = get_variant("evit-b0")


class TestEvitB1(VariantSuite):
    variant = get_variant("evit-b1")


class TestTd4EvitB0(VariantSuite):
    variant = get_variant("td4-evit-b0")


class TestTd2EvitB0(VariantSuite):
    variant = get_variant("td2-evit-b0")


class TestTd2EvitB1(VariantSuite):
    variant = get_variant("td2-evit-b1")
