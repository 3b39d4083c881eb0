"""usage: slowlink.py LISTEN_PORT TARGET_PORT DELAY_MS
A TCP link on loopback on which everything that the server says comes DELAY_MS late."""

import asyncio
import sys

CHUNK = 65536


async def pump(reader, writer, delay):
    try:
        while data := await reader.read(CHUNK):
            if delay:
                await asyncio.sleep(delay)
            writer.write(data)
            await writer.drain()
    except ConnectionError:
        pass
    finally:
        writer.close()


async def main(listen_port, target_port, delay_ms):
    async def on_client(reader, writer):
        try:
            server_reader, server_writer = await asyncio.open_connection("127.0.0.1", target_port)
        except OSError:
            writer.close()
            return
        await asyncio.gather(pump(reader, server_writer, 0),
                             pump(server_reader, writer, delay_ms / 1000))

    server = await asyncio.start_server(on_client, "127.0.0.1", listen_port)
    await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(main(*(int(arg) for arg in sys.argv[1:4])))
