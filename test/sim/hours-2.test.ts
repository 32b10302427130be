import { freshSeed } from './fresh-seed.js';
import { passHours } from './hours.js';

await passHours(freshSeed());
