class AddState < ActiveRecord::Migration[6.1]
  def change
    add_column :accounts, :state, :string, limit: 10, null: false, default: "new"
    add_index :accounts, :name
    add_timestamps :accounts, null: true
  end
end
