/** The program as its users get it: the bundle, not the compiled modules that the tests of one module load. */
import { fileURLToPath } from 'node:url';

export const MAIN = fileURLToPath(new URL('../director/main.js', import.meta.url));
