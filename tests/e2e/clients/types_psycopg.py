"""psycopg 3: users' types registered, bound as text and as binary, with their numbers in Parse."""

import enum

import psycopg
from common import both_ways, credentials
from psycopg.types.composite import CompositeInfo, register_composite
from psycopg.types.enum import EnumInfo, register_enum


class Mood(enum.Enum):
    sad = "sad"
    ok = "ok"
    happy = "happy"


def client(host, port):
    account = credentials()
    with psycopg.connect(host=host, port=port, user=account["user"], autocommit=True,
                         password=account["password"], dbname=account["database"]) as connection:
        register_enum(EnumInfo.fetch(connection, "mood"), connection, Mood)
        pair = CompositeInfo.fetch(connection, "pair")
        register_composite(pair, connection)
        for format in ("s", "t", "b"):
            for value in Mood:
                yield connection.execute(f"select id, m from typed where m = %{format} order by id",
                                         (value,)).fetchall()
            yield connection.execute(f"select id from typed where ms = %{format} order by id",
                                     ([Mood.ok, None, Mood.ok],)).fetchall()
            yield connection.execute(f"select id from typed where m = any (%{format}) order by id",
                                     ([Mood.sad, Mood.happy],), prepare=True).fetchall()
        for format in ("s", "t"):
            yield connection.execute(f"select id, c from typed where p = %{format} order by id",
                                     (pair.python_type(4, Mood.ok),)).fetchall()


both_ways(client)
