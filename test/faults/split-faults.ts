/**
 * Doublings of all slots during which something is killed, filled up or cut off: the command, run
 * again, goes on to the end.
 *
 * They take a cluster whose logs are in the folders of the slots, and each leaves twice as many.
 */
import { disturbRun, fillFor, goOn } from './disturbed-run.ts';
import { nodeNames } from './fault-cluster.ts';
import { cut, type Fault, type FaultScene, kill, pick, twoNodes } from './fault-scene.ts';
import type { OperatorRun } from './operator-run.ts';

const beginMsMax = 60_000;
/** How long after it has begun the fault comes, at most: a doubling takes two seconds or more. */
const delayMsMax = 2_000;

/** Does something while slots are doubled, and mends it. */
type Disturb = (scene: FaultScene, run: OperatorRun) => Promise<unknown>;

async function doubleUnder(scene: FaultScene, disturb: Disturb): Promise<string> {
  const { cluster } = scene;
  await cluster.readMap();
  const { slots } = cluster.map;
  const words = ['slots', 'double'];
  const run = cluster.operate(words);
  await run.untilPrinted(/slots split one by one/, beginMsMax);
  let wasOver = false;
  const { code } = await disturbRun(scene, run, delayMsMax, async () => {
    wasOver = run.hasEnded;
    await disturb(scene, run);
  });
  const isDoubled = async (): Promise<boolean> => {
    await cluster.readMap();
    // A run after the end would begin the next one.
    return !cluster.map.isDoubling && cluster.map.slots > slots;
  };
  await goOn(words.join(' '), () => cluster.command(...words), isDoubled);
  return `${slots} slots, ${wasOver ? 'too late' : code === 0 ? 'one run' : 'run again'}`;
}

export const splitFaults: readonly Fault[] = [
  { name: 'double, kill node', run: (scene) => doubleUnder(scene, () => kill(scene, pick(scene, nodeNames))) },
  { name: 'double, kill command', run: (scene) => doubleUnder(scene, (_scene, run) => run.kill()) },
  { name: 'double, kill router', run: (scene) => doubleUnder(scene, () => kill(scene, 'router')) },
  {
    name: 'double, full disk',
    needs: 'disks',
    run: (scene) => doubleUnder(scene, () => fillFor(scene, scene.cluster.dataDirOf(pick(scene, nodeNames)))),
  },
  { name: 'double, cut link', needs: 'boxes', run: (scene) => doubleUnder(scene, () => cut(scene, twoNodes(scene))) },
];
