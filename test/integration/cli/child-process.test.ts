/** A supervised child: its start, its restart on the same ports, its stop by request or force. */
import { join } from 'node:path';
import { afterEach, describe, expect, it } from 'vitest';
import { systemClock } from '../../../src/base/clock.ts';
import { seededRandom } from '../../../src/base/seeded-random.ts';
import { type ChildSpec, SupervisedChild } from '../../../src/cli/process/child-process.ts';
import { projectRoot } from '../../support/source-scan.ts';
import { until } from '../../support/until.ts';

const script = join(projectRoot, 'test', 'support', 'scripted-child.ts');
const started: SupervisedChild[] = [];

function childOf(spec: Partial<ChildSpec>) {
  const lines: string[] = [];
  const messages: string[] = [];
  let restarts = 0;
  const child = new SupervisedChild(
    { name: 'scripted', words: () => [], readyMsMax: 20_000, stopMsMax: 20_000, ...spec },
    {
      command: (words) => [process.execPath, '--disable-warning=ExperimentalWarning', script, ...words],
      environment: { PATH: process.env['PATH'] ?? '' },
      clock: systemClock,
      random: seededRandom(1),
      log: (_level, message) => messages.push(message),
      onLine: (name, line) => lines.push(`${name}: ${line}`),
      onRestarted: () => {
        restarts += 1;
      },
    },
  );
  started.push(child);
  return { child, lines, messages, restarts: () => restarts };
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch {
    return false;
  }
}

afterEach(async () => {
  for (const child of started.splice(0)) {
    child.kill();
    await child.stop();
  }
});

describe('a supervised child', () => {
  it('is ready when it reports where it listens, and its lines are passed on', async () => {
    const { child, lines } = childOf({ words: () => ['--port=4567'] });
    await child.start();
    expect(child.listening).toEqual({ host: '127.0.0.1', ports: { port: 4567 } });
    await until(() => lines.includes('scripted: serving --port=4567'));
  });

  it('that exits before it serves fails the start and is not restarted', async () => {
    const { child, lines, messages } = childOf({ words: () => ['--exit=3'] });
    await expect(child.start()).rejects.toMatchObject({
      message: 'scripted did not start: exit code 3',
      hint: 'What scripted printed says why.',
    });
    await until(() => lines.includes('scripted: cannot start'));
    await child.stop();
    expect(messages).toEqual([]);
  });

  it('that never reports ready fails the start and is killed', async () => {
    const { child } = childOf({ words: () => ['--never-ready'], readyMsMax: 300 });
    await expect(child.start()).rejects.toThrow('not ready after 300 ms');
    await until(() => !isAlive(child.pid));
  });

  it('that is killed is restarted on the port that it had', async () => {
    const { child, lines, messages, restarts } = childOf({
      words: (before) => (before === null ? ['--port=4568'] : [`--port=${before.ports['port']}`, '--again']),
    });
    await child.start();
    const firstPid = child.pid;
    process.kill(firstPid, 'SIGKILL');
    await until(() => restarts() === 1);
    expect(child.pid).not.toBe(firstPid);
    await until(() => lines.includes('scripted: serving --port=4568 --again'));
    expect(messages).toEqual(['scripted ended; it is started again', 'scripted serves again']);
  });

  it('that asks to be started again is, at once', async () => {
    const words = (before: unknown): string[] => (before === null ? ['--starts-again'] : ['--again']);
    const { child, lines, messages, restarts } = childOf({ words });
    await child.start();
    await until(() => restarts() === 1 && lines.includes('scripted: serving --again'));
    expect(messages).toEqual(['scripted starts again, as it asked to', 'scripted serves again']);
  });

  it('stops on request and stays stopped', async () => {
    const { child, restarts } = childOf({});
    await child.start();
    await child.stop();
    expect(isAlive(child.pid)).toBe(false);
    expect(restarts()).toBe(0);
  });

  it('that does not stop in time is killed, which is logged', async () => {
    const { child, messages } = childOf({ words: () => ['--stubborn'], stopMsMax: 300 });
    await child.start();
    await child.stop();
    expect(isAlive(child.pid)).toBe(false);
    expect(messages).toEqual(['scripted did not stop in time and is killed']);
  });

  it('can be stopped before it was ever started', async () => {
    const { child } = childOf({});
    await child.stop();
    expect(() => child.listening).toThrow('scripted is not ready');
  });
});
