/**
 * A child process for tests of supervision: reports that it serves, and ends as its flags say.
 *
 * Flags: `--port=n`, `--never-ready`, `--exit=code` before serving, `--stubborn` ignores SIGTERM.
 * `--starts-again` asks to be started again, and ends.
 */
const words = process.argv.slice(2);
const flag = (name: string): string | undefined => words.find((word) => word.startsWith(`--${name}=`))?.split('=')[1];

if (words.includes('--stubborn')) process.on('SIGTERM', () => console.log('ignored SIGTERM'));
else process.on('SIGTERM', () => process.exit(0));
process.on('disconnect', () => process.exit(0));

const code = flag('exit');
if (code !== undefined) {
  console.error('cannot start');
  process.exit(Number(code));
}
if (!words.includes('--never-ready')) {
  const listening = {
    host: '127.0.0.1',
    ports: { port: Number(flag('port') ?? '0') || 40_000 + (process.pid % 1000) },
  };
  process.send?.({ type: 'ready', listening });
  console.log(`serving ${words.join(' ')}`);
}
if (words.includes('--starts-again')) process.send!({ type: 'starts-again' }, () => process.exit(1));
