"""SQLAlchemy over psycopg2: sessions of the ORM on a pool that tests its connections."""

import os

from marks import also, cov, finish, skip
from sqlalchemy import (Boolean, Column, DateTime, Float, ForeignKey, Integer, Numeric, create_engine,
                        func, select, text)
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.engine import URL
from sqlalchemy.exc import DBAPIError
from sqlalchemy.orm import Session, declarative_base, relationship, selectinload
from sqlalchemy.types import Text

REQUESTS = 10
Base = declarative_base()


class Account(Base):
    __tablename__ = "account"
    id = Column(Integer, primary_key=True)
    owner = Column(Text)
    balance = Column(Numeric)
    opened = Column(DateTime(timezone=True))
    rate = Column(Float)
    active = Column(Boolean)
    purchases = relationship("Purchase", order_by="Purchase.id")


class Purchase(Base):
    __tablename__ = "purchase"
    id = Column(Integer, primary_key=True)
    account = Column(Integer, ForeignKey("account.id"))
    placed = Column(DateTime(timezone=True))
    total = Column(Numeric)
    items = Column(JSONB)


class Ledger(Base):
    __tablename__ = "ledger"
    id = Column(Integer, primary_key=True)
    account = Column(Integer)
    note = Column(Text)


def one(session, name, number):
    return session.execute(select(Account.id, Account.owner.label(name)).where(
        Account.id == number)).one()


def requests_of_an_application(engine, number):
    with Session(engine) as session:
        one(session, cov("column"), number)
        session.execute(select(func.count(), func.sum(Purchase.total).label(cov("aggregate"))).where(
            Purchase.account == number)).one()
        rows = session.execute(select(Account, text(f"1 as {cov('entities')}")).where(
            Account.id.in_([number, number + 1])).order_by(Account.id)).all()
        assert len(rows) == 2
        session.execute(select(Purchase.id.label(cov("limit"))).order_by(Purchase.id).limit(
            5).offset(number)).all()
        session.commit()
        one(session, cov("second_transaction"), number)


def lazy_loads(engine, number):
    """These can't be marked by name: they have to be among the rest without a skip."""
    with Session(engine) as session:
        account = session.get(Account, number)
        assert len(account.purchases) == 5
        session.query(Account).options(selectinload(Account.purchases)).filter(
            Account.id < 4).order_by(Account.id).all()


def reads_then_write(engine, number):
    with Session(engine) as session, session.begin():
        one(session, cov("before_write"), number)
        session.add(Ledger(account=number, note="SQLAlchemy"))
        session.flush()
        one(session, skip("transaction_tainted"), number)


def savepoints(engine, number):
    with Session(engine) as session, session.begin():
        with session.begin_nested():
            one(session, cov("savepoint"), number)
        try:
            with session.begin_nested():
                session.execute(text(f"select owner::int as {cov('fails_in_savepoint')} from account "
                                     "where id = :id"), {"id": number})
        except DBAPIError:
            pass
        one(session, cov("after_rollback_to"), number)


def settings(engine, number):
    with engine.begin() as c:
        c.execute(text("show transaction_isolation"))
        c.execute(text("set local timezone = 'Asia/Tokyo'"))
        c.execute(text(f"select opened::text as {cov('set_local')} from account where id = :id"),
                  {"id": number}).all()
        c.execute(select(func.set_config("search_path", "archive, public", True)))
        c.execute(text(f"select owner as {cov('set_config')} from account where id = :id"),
                  {"id": number}).all()


def isolation(engine, number):
    with engine.connect().execution_options(isolation_level="REPEATABLE READ") as c:
        c.execute(text(f"select id as {also('first_of_snapshot')} from account where id = 1")).all()
        c.execute(text(f"select id as {skip('old_snapshot')} from account where id = 1")).all()
    with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as c:
        c.execute(text(f"select id as {cov('autocommit')} from account where id = 1")).all()


def streams(engine, number):
    with engine.connect().execution_options(stream_results=True, max_row_buffer=10) as c:
        c.execute(text(f"select id as {cov('stream')} from purchase where id < 30 order by id")).all()


def tenant(engine, number):
    with engine.begin() as c:
        c.execute(text("select set_config('app.tenant', :tenant, true)"),
                  {"tenant": f"tenant {number % 5}"})
        c.execute(text(f"select title as {cov('row_security')} from document order by id")).all()


def main():
    engine = create_engine(URL.create(
        "postgresql+psycopg2", username=os.environ["DBUSER"], password=os.environ["DBPASSWORD"],
        host=os.environ["HOST"], port=int(os.environ["PORT"]), database=os.environ["DBNAME"]),
        pool_size=2, max_overflow=0, pool_pre_ping=True, future=True)
    for number in range(1, REQUESTS + 1):
        for request in (requests_of_an_application, lazy_loads, reads_then_write, savepoints,
                        settings, isolation, streams, tenant):
            request(engine, number)
    engine.dispose()
    finish()


main()
