#!/usr/bin/env node
/** The command `haul` module by module, as it is when there is no bundle. */
import { runCommand } from './command.js';

await runCommand();
