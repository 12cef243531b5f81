/** The checker of the fault lane notices what it is for, and permits what may be. */
import { describe, expect, it } from 'vitest';
import { seededRandom } from '../../src/base/seeded-random.ts';
import {
  compareSettled,
  compareSettledCount,
  type FanWrite,
  KnownAnswers,
  OwnValue,
  problemsOfCount,
} from './known-answers.ts';

const fans = ['did:web:a.example', 'did:web:b.example', 'did:web:c.example'];

/** Issues writes until one makes a follow. */
function issueFollow(answers: KnownAnswers, nowMs = 0): FanWrite {
  const random = seededRandom(7);
  for (;;) {
    const write = answers.issue(random)!;
    answers.acknowledge(write, nowMs);
    if (write.kind === 'follow' && write.isThere) return write;
  }
}

describe('what is read while writes are under way', () => {
  it('may have an edge that was written since all had settled, or not', () => {
    const answers = new KnownAnswers(fans, 1);
    const { fan } = issueFollow(answers);
    const tick = answers.beginRead();
    expect(answers.problemsOfList('follow', 0, [fan], tick)).toEqual([]);
    expect(answers.problemsOfList('follow', 0, [], tick)).toEqual([]);
  });

  it('must have what had settled before it was asked for, once', () => {
    const answers = new KnownAnswers(fans, 1);
    const { fan } = issueFollow(answers);
    answers.settled();
    const tick = answers.beginRead();
    const others = answers.fansOf('follow', 0).filter((other) => other !== fan);
    expect(answers.problemsOfList('follow', 0, [fan, ...others], tick)).toEqual([]);
    expect(answers.problemsOfList('follow', 0, others, tick)).toEqual([`follow of actor 0: ${fan} is missing`]);
    expect(answers.problemsOfList('follow', 0, [fan, fan, ...others], tick)).toEqual([
      `follow of actor 0: ${fan} twice`,
    ]);
    const stranger = 'did:web:x.example';
    expect(answers.problemsOfList('follow', 0, [fan, stranger, ...others], tick)).toEqual([
      `follow of actor 0: ${stranger}, who never did`,
    ]);
  });

  it('must not have what was taken back before all had settled', () => {
    const answers = new KnownAnswers(fans, 1);
    answers.settled();
    expect(answers.problemsOfList('follow', 0, [fans[0]!], answers.beginRead())).toEqual([
      `follow of actor 0: ${fans[0]} is there still`,
    ]);
  });

  it('may be older than a settling that came after it was asked for', () => {
    const answers = new KnownAnswers(fans, 1);
    const tick = answers.beginRead();
    issueFollow(answers);
    answers.settled();
    expect(answers.problemsOfList('follow', 0, [], tick)).toEqual([]);
  });

  it('counts from what had settled to all that was issued', () => {
    const answers = new KnownAnswers(fans, 1);
    answers.settled();
    const { fan } = issueFollow(answers);
    const { min, max } = answers.rangeOf('follow', 0, answers.beginRead());
    expect(min).toBe(0);
    expect(max).toBeGreaterThanOrEqual(1);
    expect(answers.rangeOfFan(fan, answers.beginRead())).toEqual({ min: 0, max: 1 });
    expect(problemsOfCount('likes', 2, { min: 0, max: 1 })).toEqual(['likes: 2, not from 0 to 1']);
    expect(problemsOfCount('likes', 1, { min: 0, max: 1 })).toEqual([]);
  });
});

describe('what a replica answers', () => {
  it('has all that was in the log so long before, and may lack what came later', () => {
    const answers = new KnownAnswers(fans, 1);
    expect(answers.rangeOfFanSince(fans[0]!, 0)).toEqual({ min: 0, max: 0 });
    const { fan } = issueFollow(answers, 1_000);
    expect(answers.rangeOfFanSince(fan, 999)).toEqual({ min: 0, max: 1 });
    expect(answers.rangeOfFanSince(fan, 1_000)).toEqual({ min: 1, max: 1 });
  });

  it('may have or lack what nobody knows to be in the log', () => {
    const answers = new KnownAnswers(fans, 1);
    const random = seededRandom(7);
    const writes = fans.map(() => answers.issue(random)!);
    const { fan } = writes.find(({ kind }) => kind === 'follow')!;
    expect(answers.rangeOfFanSince(fan, 1_000_000)).toEqual({ min: 0, max: 1 });
  });
});

describe('what is stored once all has settled', () => {
  const isKnown = (name: string): boolean => fans.includes(name);
  const [a, b, c] = fans as [string, string, string];

  it('lacks nothing, and has nothing twice or of others', () => {
    expect(compareSettled('x', [a, b], [b, a], isKnown)).toEqual({ lost: [], doubled: [] });
    expect(compareSettled('x', [a, b], [a], isKnown)).toEqual({ lost: [`x: ${b}`], doubled: [] });
    expect(compareSettled('x', [a], [a, a], isKnown)).toEqual({ lost: [], doubled: [`x: ${a} once more`] });
    expect(compareSettled('x', [a], [a, c], isKnown)).toEqual({ lost: [`x: the deletion of ${c}`], doubled: [] });
    expect(compareSettled('x', [a], [a, 'z'], isKnown)).toEqual({ lost: [], doubled: ['x: z once more'] });
  });

  it('counts neither less nor more', () => {
    expect(compareSettledCount('x', 2, 2)).toEqual({ lost: [], doubled: [] });
    expect(compareSettledCount('x', 2, 1)).toEqual({ lost: ['x: 1 instead of 2'], doubled: [] });
    expect(compareSettledCount('x', 2, 3)).toEqual({ lost: [], doubled: ['x: 3 instead of 2'] });
  });
});

describe('what a caller has set itself', () => {
  it('is seen from the acknowledgement on', () => {
    const own = new OwnValue();
    own.acknowledge(own.issue());
    const before = own.beginRead();
    own.issue();
    expect(own.problemsOf('x', 1, before)).toEqual([]);
    expect(own.problemsOf('x', 2, before)).toEqual([]);
    expect(own.problemsOf('x', 0, before)).toEqual(['x: 0, not from 1 to 2']);
    expect(own.problemsOf('x', 3, before)).toEqual(['x: 3, not from 1 to 2']);
  });

  it('may come late where nobody knows whether it came, but only until all has settled', () => {
    const own = new OwnValue();
    own.failed(own.issue());
    own.acknowledge(own.issue());
    expect(own.problemsOf('x', 1, own.beginRead())).toEqual([]);
    expect(own.settled(2)).toEqual([]);
    expect(own.problemsOf('x', 1, own.beginRead())).toEqual(['x: 1, not from 2 to 2']);
    expect(new OwnValue().settled(1)).toEqual(['what was set by RPC: 1, not from 0 to 0']);
  });
});
