import { passHours } from './hours.js';

await passHours(2);
