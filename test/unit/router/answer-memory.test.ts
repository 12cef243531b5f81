/** What large answers may take in memory, of all callers and of one. */
import { expect, test } from 'vitest';
import { AnswerMemory, answerMemoryDefaults, answerMemoryOf } from '../../../src/router/plan/answer-memory.ts';

const mebibyte = 2 ** 20;

test('answers of all callers and of each are bounded, and refused by the name of the limit', () => {
  const memory = new AnswerMemory({ preparedBytesMax: 100, preparedBytesOfCallerMax: 60 });
  memory.take('a', 60);
  expect(() => memory.take('a', 1)).toThrow('1 more bytes of answers would pass preparedBytesOfCallerMax = 60');
  memory.take('b', 40);
  expect(() => memory.take('c', 1)).toThrow('1 more bytes of answers would pass preparedBytesMax = 100');
  expect(memory.bytes).toBe(100);
  memory.release('a', 60);
  memory.take('c', 60);
  expect(() => memory.take('a', 1)).toThrow(expect.objectContaining({ code: 'ResourceExhausted' }));
  expect(memory.refusedByLimit).toEqual({ preparedBytesMax: 2, preparedBytesOfCallerMax: 1 });
});

test('threads share what their process may take, down to what one large answer needs', () => {
  const ofThread = (share: number): number => answerMemoryOf(answerMemoryDefaults, share).preparedBytesMax / mebibyte;
  expect([1, 0.5, 0.25, 1 / 60].map(ofThread)).toEqual([128, 64, 32, 32]);
  const tiny = { preparedBytesMax: 10, preparedBytesOfCallerMax: 5 };
  expect(answerMemoryOf(tiny, 0.5)).toEqual(tiny);
});
