"""A plain client on Python's `websockets`: python3 client.py URL TEXT. Exchanges all that there is, and says so."""

import asyncio
import json
import sys

import websockets


async def main(url, text):
    async with websockets.connect(url, subprotocols=["other", "chat"], max_size=None) as websocket:
        large = bytes(range(256)) * 16384
        for message in [text, "", b"\x00\xff", large, "ünïcödé 🦊"]:
            await websocket.send(message)
            assert await websocket.recv() == message
        await (await websocket.ping(b"from the client"))
        await websocket.send("ping")
        assert await websocket.recv() == "ponged"
        for number in range(1000):
            await websocket.send(f"{text} {number}")
        for number in range(1000):
            assert await websocket.recv() == f"{text} {number}"
        await websocket.send("close")
        try:
            await websocket.recv()
        except websockets.ConnectionClosed:
            pass
        answer = {"code": websocket.close_code, "reason": websocket.close_reason}
        print(json.dumps({"subprotocol": websocket.subprotocol, **answer}), flush=True)


asyncio.run(main(*sys.argv[1:]))
