from __future__ import annotations

import numpy as np
import pyarrow.parquet as pq
import pytest

from sgaplus import records

ROW = {"dataset": "kodak", "image": "kodim01", "step": 3, "true_loss": 0.738, "parameters": '{"a": 2.3}'}


def test_rows_come_back_with_every_documented_field(tmp_path):
    records.write([ROW], tmp_path / "one.parquet")
    table = records.read([tmp_path / "one.parquet"])
    assert list(table.columns) == list(records.FIELDS)
    assert table.loc[0, "true_loss"] == 0.738
    assert table["psnr"].isna().all()


def test_a_field_without_documentation_is_refused_and_nothing_is_written(tmp_path):
    with pytest.raises(ValueError, match="luck"):
        records.write([ROW | {"luck": 1}], tmp_path / "one.parquet")
    assert not list(tmp_path.iterdir())


def test_the_file_documents_itself(tmp_path):
    records.write([ROW], tmp_path / "one.parquet")
    schema = pq.read_schema(tmp_path / "one.parquet")
    for name, (_, description) in records.FIELDS.items():
        assert schema.field(name).metadata[b"description"].decode() == description


def test_rows_of_classical_codecs_have_fields_of_their_own(tmp_path):
    row = {"dataset": "kodak", "image": "kodim01", "codec": "jpeg", "variant": "4:2:0", "setting": 30.0, "bytes": 9}
    records.write([row], tmp_path / "one.parquet", records.CODED_SCHEMA)
    table = records.read([tmp_path / "one.parquet"], records.CODED_SCHEMA)
    assert list(table.columns) == list(records.CODED)
    assert table.loc[0, list(row)].to_dict() == row
    with pytest.raises(ValueError, match="true_loss"):
        records.write([ROW], tmp_path / "two.parquet", records.CODED_SCHEMA)


def test_records_without_fields_that_are_younger_can_be_read(tmp_path):
    older = records.DECODED_SCHEMA
    for name in ("lpips", "dists"):
        older = older.remove(older.get_field_index(name))
    records.write([{"image": "a", "haarpsi": 0.9}], tmp_path / "one.parquet", older)
    table = records.read([tmp_path / "one.parquet"], records.DECODED_SCHEMA)
    assert list(table.columns) == list(records.DECODED)
    assert table.loc[0, "haarpsi"] == 0.9
    assert table[["lpips", "dists"]].isna().all(axis=None)


def test_no_files_are_a_table_without_rows():
    assert list(records.read([], records.CODED_SCHEMA).columns) == list(records.CODED)


def test_files_are_concatenated_in_order(tmp_path):
    for name in "ab":
        records.write([ROW | {"image": name}], tmp_path / f"{name}.parquet")
    records.concatenate([tmp_path / "a.parquet", tmp_path / "b.parquet"], tmp_path / "all.parquet")
    assert list(records.read([tmp_path / "all.parquet"])["image"]) == ["a", "b"]


def test_what_is_gathered_takes_less_than_half_the_space(tmp_path):
    losses = (1 + np.random.default_rng(0).random(20000, np.float32) / 10).tolist()  # as exact as the engine's
    records.write([ROW | {"true_loss": loss} for loss in losses], tmp_path / "a.parquet")
    records.concatenate([tmp_path / "a.parquet"], tmp_path / "all.parquet")
    assert records.rows(tmp_path / "all.parquet") == records.rows(tmp_path / "a.parquet")
    assert (tmp_path / "all.parquet").stat().st_size < (tmp_path / "a.parquet").stat().st_size / 2


def test_only_the_refinements_asked_for_are_kept(tmp_path):
    key = {"dataset": "kodak", "model": "m", "target_lmbda": 0.01, "variant": "ssl_a1", "seed": 0}
    others = [key | {"variant": "ssl"}, key | {"target_lmbda": 0.02}, key | {"seed": 1}, key | {"model": "n"}]
    records.write([ROW | one for one in (key, *others)], tmp_path / "all.parquet")
    records.concatenate([tmp_path / "all.parquet"], tmp_path / "one.parquet", [("kodak", "m", "0.01", "ssl_a1", "0")])
    (kept,) = records.read([tmp_path / "one.parquet"])[list(key)].to_dict("records")
    assert kept == key
