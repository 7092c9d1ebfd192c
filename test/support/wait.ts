export * from '../../lab/wait.js';
