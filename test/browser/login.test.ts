/** The page of a router that wants a view token: shown once the token is there, and not before. */
import { type Browser, chromium } from 'playwright-core';
import { afterAll, beforeAll, expect, it } from 'vitest';
import type { RunningRouter } from '../../src/router/router-server.ts';
import { emptyNetwork, FakeNodes, twoNodeMap } from '../support/fake-nodes.ts';
import { startTestRouter } from '../support/test-router.ts';

const adminToken = 'admin-token-0123456789';
const viewToken = 'view-token-0123456789';

let router: RunningRouter;
let browser: Browser;

beforeAll(async () => {
  const nodes = new FakeNodes(twoNodeMap(), emptyNetwork());
  router = await startTestRouter({ map: nodes.map, caller: nodes }, { adminToken, viewToken });
  browser = await chromium.launch({ executablePath: '/usr/bin/chromium', args: ['--no-sandbox'] });
}, 60_000);

afterAll(async () => {
  await browser.close();
  await router.close();
});

it('asks for the view token, takes no other, and once a session', async () => {
  const page = await browser.newPage();
  await page.goto(`http://127.0.0.1:${router.port}/#view=cluster`);
  const token = page.getByLabel('View token');
  await token.waitFor();
  expect(await page.locator('main').isVisible()).toBe(false);
  for (const wrong of ['nonsense', adminToken]) {
    await token.fill(wrong);
    await token.press('Enter');
    await page.waitForFunction(() => document.querySelector('#refusal')!.textContent !== '');
    expect(await page.locator('main').isVisible()).toBe(false);
  }
  await token.fill(viewToken);
  await token.press('Enter');
  await page.locator('section:has(h2:text("Nodes")) td', { hasText: 'n0' }).first().waitFor();
  expect(await token.isVisible()).toBe(false);
  await page.reload();
  await page.locator('section:has(h2:text("Nodes")) td', { hasText: 'n0' }).first().waitFor();
  expect(await token.isVisible()).toBe(false);
  expect(page.url()).not.toContain(viewToken);
}, 60_000);
