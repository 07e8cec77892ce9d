# Migrates with ActiveRecord: create, up or down.
require "active_record"

ActiveRecord::Base.establish_connection(adapter: "mysql2", host: ENV["DB_HOST"], port: ENV["DB_PORT"].to_i, username: ENV["DB_USER"],
  password: ENV["DB_PASSWORD"], database: ENV["DB_NAME"], encoding: "utf8mb4")
ActiveRecord::Migration.verbose = false
context = ActiveRecord::MigrationContext.new(File.join(__dir__, "migrations"), ActiveRecord::SchemaMigration)
context.migrate(ARGV[0] == "up" ? nil : 1)
