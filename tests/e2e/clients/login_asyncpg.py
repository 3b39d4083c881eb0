"""asyncpg logs in without and with TLS, and with a wrong password. usage: PORT USER PASSWORD"""
import asyncio
import ssl
import sys

import asyncpg

tls = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
tls.check_hostname = False
tls.verify_mode = ssl.CERT_NONE


async def log_in(what, context, password):
    try:
        connection = await asyncpg.connect(host="127.0.0.1", port=int(sys.argv[1]), ssl=context,
                                           database="postgres", user=sys.argv[2], password=password)
        print(f"{what}: {await connection.fetchval('select current_user')}")
        await connection.close()
    except asyncpg.InvalidPasswordError:
        print(f"{what}: refused")


async def main():
    await log_in("plain", False, sys.argv[3])
    await log_in("TLS", tls, sys.argv[3])
    await log_in("wrong password", False, "wrong")


asyncio.run(main())
