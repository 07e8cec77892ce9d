exports.up = (knex) => knex.schema.createTable('accounts', (t) => {
  t.bigIncrements('id');
  t.string('name', 50).notNullable();
  t.integer('hits').notNullable().defaultTo(0);
  t.string('note', 20);
  t.integer('old');
});
exports.down = (knex) => knex.schema.dropTable('accounts');
