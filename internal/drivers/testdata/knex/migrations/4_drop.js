exports.up = (knex) => knex.schema.alterTable('accounts', (t) => {
  t.dropColumn('old');
  t.unique(['name', 'id']);
  t.enu('kind', ['a', 'b']).defaultTo('b');
});
exports.down = (knex) => knex.schema.alterTable('accounts', (t) => {
  t.dropColumn('kind');
  t.dropUnique(['name', 'id']);
  t.integer('old');
});
