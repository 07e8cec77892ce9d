// Migrates with Knex: create, up or down.
'use strict';
const path = require('path');
const e = process.env;
module.paths.unshift(e.DB_MODULES);
const knex = require('knex')({
  client: 'mysql2',
  connection: { host: e.DB_HOST, port: +e.DB_PORT, user: e.DB_USER, password: e.DB_PASSWORD, database: e.DB_NAME },
  migrations: { directory: path.join(__dirname, 'migrations') },
});
(async () => {
  switch (process.argv[2]) {
    case 'create': await knex.migrate.up(); break;
    case 'up': await knex.migrate.latest(); break;
    case 'down': await knex.migrate.rollback(); break; // the last batch: all but the first
  }
  await knex.destroy();
})().catch((x) => { console.error(x); process.exit(1); });
