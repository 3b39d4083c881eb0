"""psycopg logs in without and with TLS, and with a wrong password. usage: PORT USER PASSWORD"""
import sys

import psycopg


def log_in(what, sslmode, password):
    try:
        with psycopg.connect(host="127.0.0.1", port=sys.argv[1], dbname="postgres", user=sys.argv[2],
                             password=password, sslmode=sslmode) as connection:
            print(f"{what}: {connection.execute('select current_user').fetchone()[0]}")
    except psycopg.OperationalError as error:
        refused = "password authentication failed" in str(error)
        print(f"{what}: {'refused' if refused else error}")


log_in("plain", "disable", sys.argv[3])
log_in("TLS", "require", sys.argv[3])
log_in("wrong password", "disable", "wrong")
