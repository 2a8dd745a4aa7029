-- Carts that were never checked out.
SELECT c.cart_id,
       c.customer_id,
       (SELECT CAST(sum(l.quantity) AS BIGINT)
          FROM cart_lines AS l WHERE l.cart_id = c.cart_id) AS pieces,
       (SELECT CAST(sum(l.quantity * l.unit_price_pence) AS BIGINT)
          FROM cart_lines AS l WHERE l.cart_id = c.cart_id) AS total_pence,
       c.last_added_at
  FROM carts AS c
 WHERE c.checked_out_at IS NULL
