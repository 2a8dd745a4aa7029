-- A cart and its lines, in the order in which they first came.
SELECT c.cart_id,
       c.customer_id,
       (SELECT json_group_array(
                   json_object('stock_code', l.stock_code, 'name', l.name,
                               'quantity', l.quantity, 'unit_price_pence', l.unit_price_pence)
                   ORDER BY l.line)
          FROM cart_lines AS l WHERE l.cart_id = c.cart_id) AS lines,
       (SELECT sum(l.quantity) FROM cart_lines AS l WHERE l.cart_id = c.cart_id) AS pieces,
       (SELECT sum(l.quantity * l.unit_price_pence)
          FROM cart_lines AS l WHERE l.cart_id = c.cart_id) AS total_pence,
       coalesce(c.checked_out_at, c.last_added_at) AS last_updated,
       c.checked_out_at IS NOT NULL AS checked_out
  FROM carts AS c
