import assert from 'node:assert/strict'
import { createServer as createHttpServer } from 'node:http'
import { connect, createServer } from 'node:net'
import type { Server } from 'node:net'
import { afterEach, describe, it } from 'node:test'
import { close, freePort, listen, loopback } from '../../../demo/parts/loopback.ts'

describe('the loopback address', () => {
  const open: Server[] = []
  const server = (): Server => {
    const made = createServer()
    open.push(made)
    return made
  }
  afterEach(() => {
    for (const one of open.splice(0)) one.close()
  })

  it('freePort gives a port that can be listened on', async () => {
    const port = await freePort()
    assert.ok(port > 0 && port < 65_536)
    assert.equal(await listen(server(), port), port)
  })
  it('freePort gives the wanted port when it is free', async () => {
    const port = await freePort()
    assert.equal(await freePort(port), port)
  })
  it('freePort refuses a taken port, and says what to do', async () => {
    const port = await listen(server(), 0)
    await assert.rejects(freePort(port), {
      message: new RegExp(`^cannot listen on 127\\.0\\.0\\.1:${port}: .*EADDRINUSE.*\\. Choose another port, or stop `),
    })
  })
  it('listen keeps the cause of its error', async () => {
    const port = await listen(server(), 0)
    await assert.rejects(
      listen(server(), port),
      (error) =>
        error instanceof Error && error.cause instanceof Error && Reflect.get(error.cause, 'code') === 'EADDRINUSE',
    )
  })
  it('listen serves the loopback address only', async () => {
    const one = server()
    await listen(one, 0)
    const address = one.address()
    assert.ok(typeof address === 'object' && address?.address === loopback)
  })
  it('close ends also a connection that a client keeps open, and frees the port', async () => {
    const http = createHttpServer((_, response) => response.end('hello'))
    const port = await listen(http, 0)
    const client = connect(port, loopback)
    const ended = new Promise((resolve) => client.once('close', resolve))
    client.on('error', () => {})
    client.write('GET / HTTP/1.1\r\nhost: x\r\nconnection: keep-alive\r\n\r\n')
    await new Promise((resolve) => client.once('data', resolve))
    await close(http)
    await ended
    assert.equal(await freePort(port), port)
  })
})
