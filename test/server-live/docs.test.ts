/** The documentation's page in a real browser, over a real socket. */
import { existsSync } from 'node:fs'
import { describe, it } from 'node:test'
import { assert, assertEquals } from '@std/assert'
import { Hono } from 'hono'
import { type Browser, chromium } from 'playwright-core'
import { currentRuntime } from '../../src/runtime/index.ts'
import { setup } from '../server/support.ts'

const CHROMIUM = '/usr/bin/chromium'
const BASE = '/api/admin/cache-warm'
const skip = existsSync(CHROMIUM) ? false : `there is no ${CHROMIUM}: apt-get install chromium`

describe('GET /docs in a browser', { skip }, () => {
  for (const base of ['', BASE])
    it(`shows the routes and tries one out, mounted at ${base || '/'}, and loads nothing from elsewhere`, {
      timeout: 60_000,
    }, async () => {
      const { app, warmer, access } = setup({}, { control: { publicDocs: true } })
      const mounted = new Hono().route(base || '/', app)
      const server = await currentRuntime().serveHttp({
        host: '127.0.0.1',
        port: 0,
        fetch: (request) => mounted.fetch(request),
      })
      let browser: Browser | undefined
      try {
        browser = await chromium.launch({ executablePath: CHROMIUM, args: ['--no-sandbox'] })
        const page = await browser.newPage()
        const complaints: string[] = []
        const asked: string[] = []
        page.on('console', (message) => {
          if (message.type() === 'error' || message.type() === 'warning') complaints.push(message.text())
        })
        page.on('pageerror', (error) => complaints.push(error.message))
        page.on('requestfailed', (request) => complaints.push(`${request.url()} failed`))
        page.on('request', (request) => asked.push(request.url()))

        await page.goto(`${server.url}${base}/docs`)
        const operation = page.locator('#operations-warm-warmKeys')
        await operation.click()
        await operation.getByRole('button', { name: 'Try it out' }).click()
        await operation.getByRole('button', { name: 'Execute' }).click()
        const answer = operation.locator('.live-responses-table tbody .response-col_status').first()
        await answer.getByText('202').waitFor()

        assertEquals(complaints, [])
        assertEquals(warmer.submitted[0]?.request.keys, ['film:1', 'film:2'])
        assert(access.asked.includes('needs warm:write'))
        assert(asked.includes(`${server.url}${base}/warm/key`), asked.join('\n'))
        assertEquals(
          asked.filter((url) => !url.startsWith(`${server.url}${base}/`) && !url.startsWith('data:')),
          [],
        )
      } finally {
        await browser?.close()
        await server.stop()
      }
    })
})
